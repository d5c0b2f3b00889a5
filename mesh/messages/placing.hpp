#pragma once
// Placing a request: admission ↔ scheduler.
#include <cstdint>
#include <tuple>

#include "mesh/messages/heartbeats.hpp"

namespace aorta::mesh {

struct Submit {  // also after `lost`, with the next epoch
  static constexpr std::uint16_t number = 20;
  OpenRequest open;
  // The names of the KV blocks of its ids, in order, 64 bits of each: a prefix of them may be
  // cached where a request with the same ones ran. Not repeated in heartbeats.
  std::vector<std::uint64_t> prefix;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.open, s.prefix);
  }
};
struct Placed {
  static constexpr std::uint16_t number = 21;
  RequestKey key;
  PeerId executor;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.executor);
  }
};
// This epoch will bring no more tokens. Admission answers with Submit{epoch + 1}.
enum class LostReason : std::uint8_t {
  dead,
  stalled,
  superseded,
  draining,
  preempted,
  refused,
  unclaimed,
  lease
};
struct Lost {
  static constexpr std::uint16_t number = 22;
  RequestKey key;
  LostReason reason{};
  bool counted_crash = false;  // its engine crashed with it on board
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.reason, s.counted_crash);
  }
};
// Admission → scheduler: the request ended; forget it.
struct Closed {
  static constexpr std::uint16_t number = 23;
  RequestId request;
  std::uint32_t generated_tokens = 0;  // in all: its tenant pays for those after the last beat too
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.request, s.generated_tokens);
  }
};

}  // namespace aorta::mesh
