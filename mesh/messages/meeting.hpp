#pragma once
// Meeting, on every connection: hello and its answers, and who else is there.
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "mesh/messages/names.hpp"

namespace aorta::mesh {

// First message on every connection from the dialling side, repeated until answered.
struct Hello {
  static constexpr std::uint16_t number = 1;
  std::uint32_t protocol = protocol_version;
  ServiceKind kind{};
  PeerId self;
  std::uint32_t pid = 0;
  std::string host;
  std::string address;  // where it listens for those it must be dialled by; empty: nowhere
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.protocol, s.kind, s.self, s.pid, s.host, s.address);
  }
};
struct Welcome {
  static constexpr std::uint16_t number = 2;
  std::uint32_t protocol = protocol_version;
  PeerId self;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.protocol, s.self);
  }
};
// A newer life of the same name is here: leave (exit 78) and do not come back.
struct Superseded {
  static constexpr std::uint16_t number = 3;
  PeerId by;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.by);
  }
};
// The receiver cannot work with the sender: `reason` says what to change.
struct Refused {
  static constexpr std::uint16_t number = 4;
  std::string reason;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.reason);
  }
};

// A binder heard from someone who never said hello (it has restarted): introduce yourself.
struct Who {
  static constexpr std::uint16_t number = 6;
  template <class Self>
  static auto fields(Self&) {
    return std::tie();
  }
};

struct Member {
  ServiceKind kind{};
  PeerId self;
  ServiceState state{};
  std::uint32_t pid = 0;
  std::string host;
  std::string address;
  std::string model;        // executors: what they serve
  std::string numerics_id;  // executors: see docs/numerics.md
  bool operator==(const Member&) const = default;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.kind, s.self, s.state, s.pid, s.host, s.address, s.model, s.numerics_id);
  }
};
// Scheduler → everyone: on each change, on Hello, and each second.
struct Membership {
  static constexpr std::uint16_t number = 5;
  std::uint64_t version = 0;
  std::vector<Member> members;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.version, s.members);
  }
};

}  // namespace aorta::mesh
