#pragma once
// Activations to int8 per 32: scale = max|x| / 127, code = x · (127 / max|x|) rounded half to even.
#include <cstddef>
#include <cstdint>

#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu {

template <class Lanes>
void quantise(const float* x, std::size_t stride, const Panel& panel, std::uint32_t first_block,
              std::uint32_t end_block) {
  // Below this 127 / max would overflow; such a block counts as zeros.
  constexpr float smallest = 1e-30f;
  const Panel to = panel;
  const Lanes round_to_integer = Lanes::set(0x1.8p23f);
  for (std::uint32_t row = 0; row < to.rows; ++row, x += stride) {
    for (std::uint32_t block = first_block; block < end_block; ++block) {
      const std::size_t at = std::size_t{block} * to.rows + row;
      const float* from = x + block * quantum;
      const Lanes a = Lanes::load(from);
      const Lanes b = Lanes::load(from + 16);
      const float largest = maximum(max(abs(a), abs(b)));
      const bool zero = !(largest >= smallest);
      const float scale = zero ? 0.0f : largest / 127.0f;
      const Lanes inverse = Lanes::set(zero ? 0.0f : 127.0f / largest);
      std::int8_t* codes = to.codes + at * quantum;
      const std::int32_t low = store_codes(fma(a, inverse, round_to_integer), codes);
      const std::int32_t high = store_codes(fma(b, inverse, round_to_integer), codes + 16);
      const std::int32_t total = low + high;
      to.scale[at] = scale;
      to.scaled_sum[at] = scale * static_cast<float>(total);
      to.negative_sum[at] = -total;
      to.negative_halves[2 * at] = -low;
      to.negative_halves[2 * at + 1] = -high;
    }
  }
}

}  // namespace aorta::engine::cpu
