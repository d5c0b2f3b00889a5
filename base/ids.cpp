#include "base/ids.hpp"

#include <fmt/format.h>

#include <charconv>

namespace aorta {

std::string RequestId::to_string() const { return fmt::format("{:016x}{:016x}", high, low); }

std::optional<RequestId> RequestId::parse(std::string_view hex) {
  RequestId id;
  if (hex.size() != 32) return std::nullopt;
  const char* begin = hex.data();
  auto [high_end, high_error] = std::from_chars(begin, begin + 16, id.high, 16);
  auto [low_end, low_error] = std::from_chars(begin + 16, begin + 32, id.low, 16);
  if (high_error != std::errc{} || low_error != std::errc{} || high_end != begin + 16 ||
      low_end != begin + 32) {
    return std::nullopt;
  }
  return id;
}

// FNV-1a followed by the finaliser of SplitMix64.
std::uint64_t stable_hash(std::string_view bytes, std::uint64_t seed) {
  std::uint64_t h = 0xcbf29ce484222325ull ^ seed;
  for (unsigned char c : bytes) h = (h ^ c) * 0x100000001b3ull;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
  return h ^ (h >> 31);
}

}  // namespace aorta
