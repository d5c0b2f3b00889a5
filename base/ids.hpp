#pragma once
// Strong types for identities and counters: two bare integers never stand side by side.
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace aorta {

// An integer with a name of its own. `Strong<struct EpochTag, std::uint32_t>`.
template <class Tag, class T>
struct Strong {
  T value{};
  auto operator<=>(const Strong&) const = default;
  Strong& operator++() { return ++value, *this; }
  Strong next() const { return Strong{static_cast<T>(value + 1)}; }
};

using TokenId = std::int32_t;                                   // a vocabulary entry
using Epoch = Strong<struct EpochTag, std::uint32_t>;           // one life of a request; 1 first
using TokenIndex = Strong<struct TokenIndexTag, std::uint32_t>; // of a generated token; 0 first
// Start of a process in ms since 1970, shifted left 16, with 16 random bits: the larger is newer.
using Incarnation = Strong<struct IncarnationTag, std::uint64_t>;
using ConnectionId = Strong<struct ConnectionTag, std::uint64_t>;  // a client's, within a front

// 128 random bits, written as 32 hex digits.
struct RequestId {
  std::uint64_t high{}, low{};
  auto operator<=>(const RequestId&) const = default;
  std::string to_string() const;
  static std::optional<RequestId> parse(std::string_view hex);
};

// 64 bits that are the same for the same bytes on every machine (not for untrusted keys in tables).
std::uint64_t stable_hash(std::string_view bytes, std::uint64_t seed = 0);

}  // namespace aorta

template <class Tag, class T>
struct std::hash<aorta::Strong<Tag, T>> {
  std::size_t operator()(const aorta::Strong<Tag, T>& id) const {
    return std::hash<T>{}(id.value);
  }
};
template <>
struct std::hash<aorta::RequestId> {
  std::size_t operator()(const aorta::RequestId& id) const { return id.low ^ (id.high * 31); }
};
