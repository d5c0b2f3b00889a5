#pragma once
// What messages are made of: kinds, states, tiers, and who and what is meant.
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>

#include "base/ids.hpp"

namespace aorta::mesh {

inline constexpr std::uint32_t protocol_version = 1;  // this and the one before are spoken

enum class ServiceKind : std::uint8_t {
  admission,
  scheduler,
  executor,
  cache,
  monitor,
  node,
  tool
};
enum class ServiceState : std::uint8_t { starting, ready, draining, stopping, dead };
enum class Tier : std::uint8_t { urgent, high, normal };  // most urgent first
inline constexpr std::size_t tier_count = 3;
enum class Determinism : std::uint8_t { prefer, strict };

// A mesh member's name and which life of it. Routing id on the wire: "name#incarnation".
struct PeerId {
  std::string name;
  Incarnation incarnation;
  auto operator<=>(const PeerId&) const = default;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.name, s.incarnation);
  }
};

struct RequestKey {  // one life of a request
  RequestId request;
  Epoch epoch;
  auto operator<=>(const RequestKey&) const = default;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.request, s.epoch);
  }
};

}  // namespace aorta::mesh
