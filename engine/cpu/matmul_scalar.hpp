#pragma once
// Quantised matmul as it is defined: exact integer sums inside a block of 32, one fma per block in
// ascending order, and for formats with a minimum one more. Group layouts: weight_formats.hpp.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/cpu/float16.hpp"
#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu::scalar {

inline float half_at(const std::byte* p, std::uint32_t lane) {
  std::uint16_t half;
  std::memcpy(&half, p + 2 * lane, 2);
  return half_to_float(half);
}

// Σ code · activation of one output over a block of 4-bit codes (see pack_nibbles).
inline std::int32_t dot_nibbles(const std::byte* codes, std::uint32_t lane, const std::int8_t* x) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(codes);
  std::int32_t total = 0;
  for (std::uint32_t i = 0; i < 16; ++i) {
    const std::uint8_t pair = bytes[i / 4 * 64 + lane * 4 + i % 4];
    total += (pair & 15) * x[i] + (pair >> 4) * x[16 + i];
  }
  return total;
}

inline std::int32_t dot_bytes(const std::byte* codes, std::uint32_t lane, const std::int8_t* x) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(codes);
  std::int32_t total = 0;
  for (std::uint32_t i = 0; i < 32; ++i) {
    total += static_cast<std::int32_t>(bytes[i / 4 * 64 + lane * 4 + i % 4]) * x[i];
  }
  return total;
}

// out = Σ over blocks, by `step(block, lane, activations, index of (block, row), sum so far)`.
template <class Step>
void accumulate(const Panel& panel, float* out, std::size_t stride, Step step) {
  for (std::uint32_t row = 0; row < panel.rows; ++row) {
    for (std::uint32_t lane = 0; lane < lanes; ++lane) {
      float acc = 0.0f;
      for (std::uint32_t block = 0; block < panel.blocks; ++block) {
        const std::size_t at = static_cast<std::size_t>(block) * panel.rows + row;
        acc = step(block, lane, panel.codes + at * quantum, at, acc);
      }
      out[row * stride + lane] = acc;
    }
  }
}

inline void matmul_q4_1(const std::byte* group, const Panel& panel, float* out,
                        std::size_t stride) {
  accumulate(panel, out, stride,
             [&](std::uint32_t block, std::uint32_t lane, const std::int8_t* x, std::size_t at,
                 float acc) {
               const std::byte* w = group + block * q4_1_block_bytes;
               const float d = half_at(w + 256, lane), m = half_at(w + 288, lane);
               const auto dot = static_cast<float>(dot_nibbles(w, lane, x));
               acc = __builtin_fmaf(d * panel.scale[at], dot, acc);
               return __builtin_fmaf(m, panel.scaled_sum[at], acc);
             });
}

inline void matmul_q4_0(const std::byte* group, const Panel& panel, float* out,
                        std::size_t stride) {
  const std::byte* scales = group + panel.blocks * nibble_block_bytes;
  accumulate(panel, out, stride,
             [&](std::uint32_t block, std::uint32_t lane, const std::int8_t* x, std::size_t at,
                 float acc) {
               const float d = half_at(scales + block * 32, lane);
               const std::int32_t dot = dot_nibbles(group + block * nibble_block_bytes, lane, x) +
                                        8 * panel.negative_sum[at];
               return __builtin_fmaf(d * panel.scale[at], static_cast<float>(dot), acc);
             });
}

inline void matmul_q8_0(const std::byte* group, const Panel& panel, float* out,
                        std::size_t stride) {
  const std::byte* scales = group + panel.blocks * byte_block_bytes;
  accumulate(panel, out, stride,
             [&](std::uint32_t block, std::uint32_t lane, const std::int8_t* x, std::size_t at,
                 float acc) {
               const float d = half_at(scales + block * 32, lane);
               const std::int32_t dot = dot_bytes(group + block * byte_block_bytes, lane, x) +
                                        128 * panel.negative_sum[at];
               return __builtin_fmaf(d * panel.scale[at], static_cast<float>(dot), acc);
             });
}

}  // namespace aorta::engine::cpu::scalar
