#pragma once
// Quantised matmul as it is defined: exact integer sums inside a block, one fma per block in
// ascending order, and for formats with a minimum one more. Group layouts: weight_formats.hpp.
#include <cstddef>
#include <cstdint>

#include "engine/cpu/code_layout.hpp"
#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu::scalar {

// A row's 32 activations that meet a block.
struct Activations {
  const std::int8_t* codes;
  float scale, scaled_sum;
};

using CodeAt = std::int32_t (*)(const std::byte* block, std::uint32_t lane, std::uint32_t i);

// Σ (code - Offset) · activation over columns first .. first + count of a block.
template <CodeAt At, std::int32_t Offset>
std::int32_t dot(const std::byte* block, std::uint32_t lane, const std::int8_t* x,
                 std::uint32_t first = 0, std::uint32_t count = 32) {
  std::int32_t total = 0;
  for (std::uint32_t i = first; i < first + count; ++i) {
    total += (At(block, lane, i) - Offset) * x[i];
  }
  return total;
}

inline float add_scaled(float acc, float d, float scale, std::int32_t dot) {
  return __builtin_fmaf(d * scale, static_cast<float>(dot), acc);
}

// Each format adds what a block gives to an output's sum.
template <CodeAt At, std::size_t CodeBytes>
struct Minimum {
  static float add(const std::byte* group, std::uint32_t block, std::uint32_t lane,
                   const Activations& x, float acc) {
    const std::byte* w = group + block * (CodeBytes + scales_bytes);
    acc = add_scaled(acc, half_at(w + CodeBytes, lane), x.scale, dot<At, 0>(w, lane, x.codes));
    return __builtin_fmaf(half_at(w + CodeBytes + 32, lane), x.scaled_sum, acc);
  }
};
using Q4_1 = Minimum<nibble_at, nibble_block_bytes>;
using Q5_1 = Minimum<five_at, five_block_bytes>;

template <CodeAt At, std::size_t CodeBytes, std::int32_t Offset>
struct Symmetric {
  static float add(const std::byte* group, std::uint32_t block, std::uint32_t lane,
                   const Activations& x, float acc) {
    using Layout = ScalePairs<CodeBytes>;
    const std::byte* codes = group + Layout::codes_at(block);
    return add_scaled(acc, half_at(group + Layout::scales_at(block), lane), x.scale,
                      dot<At, Offset>(codes, lane, x.codes));
  }
};
using Q4_0 = Symmetric<nibble_at, nibble_block_bytes, 8>;
using Q5_0 = Symmetric<five_at, five_block_bytes, 16>;
using Q8_0 = Symmetric<byte_code_at, byte_block_bytes, 128>;

// Where a block of a K format lies, and its super-block's d and m.
template <std::size_t CodeBytes>
struct SuperBlock {
  SuperBlock(const std::byte* group, std::uint32_t block)
      : halves(group + block / super_block * (super_scales_bytes + super_block * CodeBytes)),
        scales(halves + scales_bytes + block % super_block * sub_scales_bytes),
        codes(halves + super_scales_bytes + block % super_block * CodeBytes) {}
  const std::byte *halves, *scales, *codes;
};

template <CodeAt At, std::size_t CodeBytes>
struct SuperMinimum {
  static float add(const std::byte* group, std::uint32_t block, std::uint32_t lane,
                   const Activations& x, float acc) {
    const SuperBlock<CodeBytes> w(group, block);
    const float d = half_at(w.halves, lane) * static_cast<float>(byte_at(w.scales, lane));
    const float m =
        half_at(w.halves + 32, lane) * static_cast<float>(byte_at(w.scales, lanes + lane));
    acc = add_scaled(acc, d, x.scale, dot<At, 0>(w.codes, lane, x.codes));
    return __builtin_fmaf(m, x.scaled_sum, acc);
  }
};
using Q4_K = SuperMinimum<nibble_at, nibble_block_bytes>;
using Q5_K = SuperMinimum<five_at, five_block_bytes>;

struct Q6_K {
  static float add(const std::byte* group, std::uint32_t block, std::uint32_t lane,
                   const Activations& x, float acc) {
    const SuperBlock<six_block_bytes> w(group, block);
    for (std::uint32_t half = 0; half < 2; ++half) {
      const auto scale = static_cast<std::int8_t>(byte_at(w.scales, half * lanes + lane));
      const float d = half_at(w.halves, lane) * static_cast<float>(scale);
      acc = add_scaled(acc, d, x.scale, dot<six_at, 32>(w.codes, lane, x.codes, half * 16, 16));
    }
    return acc;
  }
};

template <class Format>
void matmul(const std::byte* group, const Panel& panel, float* out, std::size_t stride) {
  for (std::uint32_t row = 0; row < panel.rows; ++row) {
    for (std::uint32_t lane = 0; lane < lanes; ++lane) {
      float acc = 0.0f;
      for (std::uint32_t block = 0; block < panel.blocks; ++block) {
        const std::size_t at = static_cast<std::size_t>(block) * panel.rows + row;
        const Activations x = {panel.codes + at * quantum, panel.scale[at], panel.scaled_sum[at]};
        acc = Format::add(group, block, lane, x, acc);
      }
      out[row * stride + lane] = acc;
    }
  }
}

}  // namespace aorta::engine::cpu::scalar
