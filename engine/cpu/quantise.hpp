#pragma once
// Activations to int8 per 32: scale = max|x| / 127, code = x · (127 / max|x|) rounded half to even.
#include <cstddef>
#include <cstdint>

#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu {

// Takes 16 cells of a panel at a time, in the order in which it keeps them, [block][row], so that
// their divisions are one of 16 lanes.
template <class Lanes>
void quantise(const float* x, std::size_t stride, const Panel& panel, const Cells& cells) {
  // Below this 127 / max would overflow; such a block counts as zeros.
  constexpr float smallest = 1e-30f;
  const Panel to = panel;
  const Cells some = cells;
  const Lanes round_to_integer = Lanes::set(0x1.8p23f);
  const float* from[lanes];
  std::size_t at[lanes];  // the cell's place in the panel
  alignas(64) float largest[lanes] = {}, scale[lanes], inverse[lanes];
  std::uint32_t row = some.first_row;
  std::size_t block = some.first_block;
  while (block < some.end_block) {
    unsigned count = 0;
    for (; count < lanes && block < some.end_block; ++count) {
      from[count] = x + (row - some.first_row) * stride + (block - some.first_block) * quantum;
      at[count] = block * to.rows + row;
      const Lanes first = Lanes::load(from[count]), other = Lanes::load(from[count] + 16);
      largest[count] = maximum(max(abs(first), abs(other)));
      if (++row == some.end_row) row = some.first_row, ++block;
    }
    const Lanes top = Lanes::load(largest);
    zero_below(top, smallest, top / Lanes::set(127.0f)).store(scale);
    zero_below(top, smallest, Lanes::set(127.0f) / top).store(inverse);
    for (unsigned i = 0; i < count; ++i) {
      const Lanes factor = Lanes::set(inverse[i]);
      const CodeSums sums = store_codes(fma(Lanes::load(from[i]), factor, round_to_integer),
                                        fma(Lanes::load(from[i] + 16), factor, round_to_integer),
                                        to.codes + at[i] * quantum);
      const std::int32_t total = sums.low + sums.high;
      to.scale[at[i]] = scale[i];
      to.scaled_sum[at[i]] = scale[i] * static_cast<float>(total);
      to.negative_sum[at[i]] = -total;
      to.negative_halves[2 * at[i]] = -sums.low;
      to.negative_halves[2 * at[i] + 1] = -sums.high;
    }
  }
}

}  // namespace aorta::engine::cpu
