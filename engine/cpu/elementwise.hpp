#pragma once
// silu(gate) · up, and the rotation of one head by its position.
#include <cstddef>
#include <cstdint>

#include "engine/cpu/exp.hpp"

namespace aorta::engine::cpu {

template <class Lanes>
inline Lanes silu(Lanes x) {
  const Lanes one = Lanes::set(1.0f);
  return x / (one + exp(Lanes::zero() - x));
}

template <class Lanes>
void silu_multiply(const float* gate, const float* up, std::size_t size, float* out) {
  std::size_t i = 0;
  for (; i + 16 <= size; i += 16) {
    (silu(Lanes::load(gate + i)) * Lanes::load(up + i)).store(out + i);
  }
  if (const unsigned rest = static_cast<unsigned>(size - i); rest != 0) {
    (silu(Lanes::load_first(gate + i, rest)) * Lanes::load_first(up + i, rest))
        .store_first(out + i, rest);
  }
}

template <class Lanes>
void rope(float* x, const float* cos_sin, std::uint32_t head_size) {
  for (std::uint32_t i = 0; i < head_size; i += 16) {
    rotate_pairs(Lanes::load(x + i), Lanes::load(cos_sin + i)).store(x + i);
  }
}

}  // namespace aorta::engine::cpu
