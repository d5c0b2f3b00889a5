#include "base/delivered_hash.hpp"

#include <fmt/format.h>

#include <charconv>

namespace aorta {

std::uint64_t delivered_hash(std::span<const TokenId> ids, std::uint64_t before) {
  std::uint64_t hash = before;
  for (const TokenId id : ids) {
    for (int shift = 0; shift < 32; shift += 8) {
      hash = (hash ^ (static_cast<std::uint32_t>(id) >> shift & 0xff)) * 0x100000001b3;
    }
  }
  return hash;
}

std::string hash_text(std::uint64_t hash) { return fmt::format("{:016x}", hash); }

std::optional<std::uint64_t> parse_hash(std::string_view text) {
  std::uint64_t hash = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, hash, 16);
  if (text.size() != 16 || error != std::errc{} || at != end) return std::nullopt;
  return hash;
}

}  // namespace aorta
