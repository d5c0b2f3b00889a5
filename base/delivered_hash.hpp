#pragma once
// What a client has of an answer, in eight bytes: FNV-1a over the four bytes of each id, the least
// significant first. Any client can compute it as tokens come.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/ids.hpp"

namespace aorta {

inline constexpr std::uint64_t nothing_delivered = 0xcbf29ce484222325;

// `before`: of the ids before these.
std::uint64_t delivered_hash(std::span<const TokenId> ids,
                             std::uint64_t before = nothing_delivered);
// Sixteen hex digits, as it travels.
std::string hash_text(std::uint64_t hash);
std::optional<std::uint64_t> parse_hash(std::string_view text);

}  // namespace aorta
