#pragma once
// Activations to int8 per 32: scale = max|x| / 127, code = x · (127 / max|x|) rounded half to even.
#include <cstddef>
#include <cstdint>

#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu {

// Walks a panel's cells in the order in which it keeps them, [block][row], 16 at a time, so that
// their divisions are one of 16 lanes.
template <class Lanes>
void quantise(const float* x, std::size_t stride, const Panel& panel, std::uint32_t first_block,
              std::uint32_t end_block) {
  // Below this 127 / max would overflow; such a block counts as zeros.
  constexpr float smallest = 1e-30f;
  const Panel to = panel;
  const Lanes round_to_integer = Lanes::set(0x1.8p23f);
  const std::size_t end = std::size_t{end_block} * to.rows;
  const float* block = x;  // 32 columns of all rows
  std::uint32_t row = 0;
  alignas(64) float largest[lanes] = {}, inverse[lanes];
  const float* from[lanes];
  CodeSums sums[lanes];
  for (std::size_t at = std::size_t{first_block} * to.rows; at < end; at += lanes) {
    const auto cells = static_cast<unsigned>(end - at < lanes ? end - at : lanes);
    for (unsigned i = 0; i < cells; ++i) {
      from[i] = block + row * stride;
      largest[i] = maximum(max(abs(Lanes::load(from[i])), abs(Lanes::load(from[i] + 16))));
      if (++row == to.rows) row = 0, block += quantum;
    }
    const Lanes top = Lanes::load(largest);
    zero_below(top, smallest, top / Lanes::set(127.0f)).store_first(to.scale + at, cells);
    zero_below(top, smallest, Lanes::set(127.0f) / top).store(inverse);
    for (unsigned i = 0; i < cells; ++i) {
      const Lanes scale = Lanes::set(inverse[i]);
      sums[i] = store_codes(fma(Lanes::load(from[i]), scale, round_to_integer),
                            fma(Lanes::load(from[i] + 16), scale, round_to_integer),
                            to.codes + (at + i) * quantum);
    }
    for (unsigned i = 0; i < cells; ++i) {
      const std::int32_t total = sums[i].low + sums[i].high;
      to.scaled_sum[at + i] = to.scale[at + i] * static_cast<float>(total);
      to.negative_sum[at + i] = -total;
      to.negative_halves[2 * (at + i)] = -sums[i].low;
      to.negative_halves[2 * (at + i) + 1] = -sums[i].high;
    }
  }
}

}  // namespace aorta::engine::cpu
