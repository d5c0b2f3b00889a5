#pragma once
// The fake model's KV: one number a position, which depends on every id up to it.
#include <cstdint>

#include "base/ids.hpp"

namespace aorta::engine {

// Of a position with `id`, after one with `before`; 0 stands before the first.
inline std::uint64_t fake_kv(std::uint64_t before, TokenId id) {
  return (before + static_cast<std::uint64_t>(id) + 1) * 0x9E3779B97F4A7C15u;
}

}  // namespace aorta::engine
