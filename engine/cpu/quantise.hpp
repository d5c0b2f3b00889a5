#pragma once
// Activations to int8 per 32: scale = max|x| / 127, code = x · (127 / max|x|) rounded half to even.
#include <cstddef>
#include <cstdint>

#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu {

template <class Lanes>
void quantise(const float* x, std::size_t stride, const Panel& panel) {
  // Below this 127 / max would overflow; such a block counts as zeros.
  constexpr float smallest = 1e-30f;
  const Lanes round_to_integer = Lanes::set(0x1.8p23f);
  for (std::uint32_t row = 0; row < panel.rows; ++row, x += stride) {
    for (std::uint32_t block = 0; block < panel.blocks; ++block) {
      const Lanes a = Lanes::load(x + block * quantum);
      const Lanes b = Lanes::load(x + block * quantum + 16);
      const float largest = maximum(max(abs(a), abs(b)));
      const bool zero = !(largest >= smallest);
      const float scale = zero ? 0.0f : largest / 127.0f;
      const Lanes inverse = Lanes::set(zero ? 0.0f : 127.0f / largest);
      const std::size_t at = static_cast<std::size_t>(block) * panel.rows + row;
      std::int8_t* codes = panel.codes + at * quantum;
      const std::int32_t first = store_codes(fma(a, inverse, round_to_integer), codes);
      const std::int32_t second = store_codes(fma(b, inverse, round_to_integer), codes + 16);
      const std::int32_t total = first + second;
      panel.scale[at] = scale;
      panel.scaled_sum[at] = scale * static_cast<float>(total);
      panel.negative_sum[at] = -total;
      panel.negative_halves[2 * at] = -first;
      panel.negative_halves[2 * at + 1] = -second;
    }
  }
}

}  // namespace aorta::engine::cpu
