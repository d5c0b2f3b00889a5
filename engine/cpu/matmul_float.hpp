#pragma once
// F16, BF16 and F32 weights stay float, and so do their activations: k ascending, one fma per
// product, one lane per output. A group is [columns][16].
#include <cstddef>
#include <cstdint>

#include "engine/cpu/float16.hpp"
#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu {

template <class Lanes>
inline Lanes load_weights(const float* w) {
  return Lanes::load(w);
}
template <class Lanes>
inline Lanes load_weights(const std::uint16_t* w) {
  return Lanes::load_half(w);
}
template <class Lanes>
inline Lanes load_weights(const BFloat16* w) {
  return Lanes::load_bfloat(&w->bits);
}

template <class Lanes, class Element, int R>
void matmul_float_rows(const Element* w, const float* x, std::size_t x_stride,
                       std::uint32_t columns, float* out, std::size_t stride) {
  Lanes acc[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) acc[r] = Lanes::zero();
  for (std::uint32_t k = 0; k < columns; ++k) {
    const Lanes weights = load_weights<Lanes>(w + static_cast<std::size_t>(k) * lanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) acc[r] = fma(Lanes::set(x[r * x_stride + k]), weights, acc[r]);
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) acc[r].store(out + r * stride);
}

// Up to 6 rows share a pass over the weights: 12 registers of sums where a Lanes is two.
template <class Lanes, class Element>
void matmul_float(const std::byte* group, const FloatRows& rows, float* out, std::size_t stride) {
  static constexpr std::uint32_t at_once = 6;
  static constexpr decltype(&matmul_float_rows<Lanes, Element, 1>) by_rows[at_once] = {
      matmul_float_rows<Lanes, Element, 1>, matmul_float_rows<Lanes, Element, 2>,
      matmul_float_rows<Lanes, Element, 3>, matmul_float_rows<Lanes, Element, 4>,
      matmul_float_rows<Lanes, Element, 5>, matmul_float_rows<Lanes, Element, 6>};
  const auto* w = reinterpret_cast<const Element*>(group);
  for (std::uint32_t r = 0; r < rows.rows; r += at_once) {
    const std::uint32_t count = rows.rows - r < at_once ? rows.rows - r : at_once;
    by_rows[count - 1](w, rows.x + r * rows.stride, rows.stride, rows.columns, out + r * stride,
                       stride);
  }
}

}  // namespace aorta::engine::cpu
