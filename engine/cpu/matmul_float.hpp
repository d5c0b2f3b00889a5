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

template <class Lanes, class Element>
void matmul_float(const std::byte* group, const FloatRows& rows, float* out, std::size_t stride) {
  const auto* w = reinterpret_cast<const Element*>(group);
  std::uint32_t r = 0;
  for (; r + 6 <= rows.rows; r += 6) {
    matmul_float_rows<Lanes, Element, 6>(w, rows.x + r * rows.stride, rows.stride, rows.columns,
                                         out + r * stride, stride);
  }
  for (; r < rows.rows; ++r) {
    matmul_float_rows<Lanes, Element, 1>(w, rows.x + r * rows.stride, rows.stride, rows.columns,
                                         out + r * stride, stride);
  }
}

}  // namespace aorta::engine::cpu
