#pragma once
// Quantised matmul by AVX-512 VNNI: up to 12 rows of activations against one group of 16 outputs,
// whose codes are loaded once. Definition: matmul_scalar.hpp.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu::avx512 {

// acc[lane] += Σ of 4 unsigned codes · 4 signed activations. In assembly, because g++ 12 would
// broadcast into a register first.
#define AORTA_DOT(acc, codes, activations) \
  asm("vpdpbusd %2%{1to16%}, %1, %0"       \
      : "+v"(acc)                          \
      : "v"(codes), "m"(*reinterpret_cast<const std::int32_t*>(activations)))

// With few rows the kernel waits for memory, so it asks for what comes this far behind.
inline constexpr std::size_t prefetch_ahead = 2560;

inline void prefetch(const std::byte* p, int cache_lines) {
#pragma GCC unroll 8
  for (int i = 0; i < cache_lines; ++i) {
    _mm_prefetch(reinterpret_cast<const char*>(p) + prefetch_ahead + 64 * i, _MM_HINT_T0);
  }
}
inline __m512 load_halves(const std::byte* p) {
  return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)));
}

// dots[r] += codes · activations of one block of 4-bit codes.
template <int R>
inline __attribute__((always_inline)) void dot_nibbles(const std::byte* w, const std::int8_t* x,
                                                       __m512i (&dots)[R]) {
  if constexpr (R == 1) {
    // One row: leave the high codes where they are, as 16 · code, and shift their sum once.
    const __m512i low = _mm512_set1_epi8(0x0f), high = _mm512_set1_epi8(static_cast<char>(0xf0));
    __m512i sixteen_times = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m512i both = _mm512_load_si512(w + 64 * j);
      AORTA_DOT(dots[0], _mm512_and_si512(both, low), x + 4 * j);
      AORTA_DOT(sixteen_times, _mm512_and_si512(both, high), x + 16 + 4 * j);
    }
    dots[0] = _mm512_add_epi32(dots[0], _mm512_srai_epi32(sixteen_times, 4));
    return;
  }
  const __m512i mask = _mm512_set1_epi8(0x0f);
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512i both = _mm512_load_si512(w + 64 * j);
    const __m512i low = _mm512_and_si512(both, mask);
    const __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) AORTA_DOT(dots[r], low, x + r * 32 + 4 * j);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) AORTA_DOT(dots[r], high, x + r * 32 + 16 + 4 * j);
  }
}

template <int R>
inline __attribute__((always_inline)) void dot_bytes(const std::byte* w, const std::int8_t* x,
                                                     __m512i (&dots)[R]) {
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) {
    const __m512i codes = _mm512_load_si512(w + 64 * j);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) AORTA_DOT(dots[r], codes, x + r * 32 + 4 * j);
  }
}

// Each format: where its block lies, how its dots start, and what a block adds to a sum.
struct Q4_1 {
  static constexpr int lines = 5;
  const std::byte* codes;
  Q4_1(const std::byte* group, std::uint32_t) : codes(group) {}
  template <int R>
  __attribute__((always_inline)) void block(const std::int8_t* x, const float* scale,
                                            const float* scaled_sum, const std::int32_t*,
                                            __m512 (&acc)[R]) {
    __m512i dots[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) dots[r] = _mm512_setzero_si512();
    dot_nibbles<R>(codes, x, dots);
    const __m512 d = load_halves(codes + 256), m = load_halves(codes + 288);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      acc[r] = _mm512_fmadd_ps(_mm512_mul_ps(d, _mm512_set1_ps(scale[r])),
                               _mm512_cvtepi32_ps(dots[r]), acc[r]);
      acc[r] = _mm512_fmadd_ps(m, _mm512_set1_ps(scaled_sum[r]), acc[r]);
    }
    codes += q4_1_block_bytes;
  }
};

// Symmetric formats store code + Offset, so their dots start at -Offset · Σ activations.
template <std::size_t BlockBytes, int Shift>
struct Symmetric {
  static constexpr int lines = BlockBytes / 64;
  const std::byte *codes, *scales;
  Symmetric(const std::byte* group, std::uint32_t blocks)
      : codes(group), scales(group + blocks * BlockBytes) {}
  template <int R>
  __attribute__((always_inline)) void block(const std::int8_t* x, const float* scale, const float*,
                                            const std::int32_t* negative_sum, __m512 (&acc)[R]) {
    __m512i dots[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      dots[r] = _mm512_slli_epi32(_mm512_set1_epi32(negative_sum[r]), Shift);
    }
    if constexpr (BlockBytes == nibble_block_bytes) {
      dot_nibbles<R>(codes, x, dots);
    } else {
      dot_bytes<R>(codes, x, dots);
    }
    const __m512 d = load_halves(scales);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      acc[r] = _mm512_fmadd_ps(_mm512_mul_ps(d, _mm512_set1_ps(scale[r])),
                               _mm512_cvtepi32_ps(dots[r]), acc[r]);
    }
    codes += BlockBytes;
    scales += 32;
  }
};
using Q4_0 = Symmetric<nibble_block_bytes, 3>;
using Q8_0 = Symmetric<byte_block_bytes, 7>;

#undef AORTA_DOT

template <class Format, int R>
void matmul_rows(const std::byte* group, const Panel& panel, float* out, std::size_t stride) {
  __m512 acc[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) acc[r] = _mm512_setzero_ps();
  Format format(group, panel.blocks);
  const std::int8_t* x = panel.codes;
  for (std::uint32_t block = 0, at = 0; block < panel.blocks; ++block, at += R, x += R * 32) {
    if constexpr (R <= 4) prefetch(format.codes, Format::lines);
    format.template block<R>(x, panel.scale + at, panel.scaled_sum + at, panel.negative_sum + at,
                             acc);
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) _mm512_storeu_ps(out + r * stride, acc[r]);
}

template <class Format>
void matmul(const std::byte* group, const Panel& panel, float* out, std::size_t stride) {
  static constexpr QuantisedMatmul by_rows[max_panel_rows] = {
      matmul_rows<Format, 1>,  matmul_rows<Format, 2>,  matmul_rows<Format, 3>,
      matmul_rows<Format, 4>,  matmul_rows<Format, 5>,  matmul_rows<Format, 6>,
      matmul_rows<Format, 7>,  matmul_rows<Format, 8>,  matmul_rows<Format, 9>,
      matmul_rows<Format, 10>, matmul_rows<Format, 11>, matmul_rows<Format, 12>};
  by_rows[panel.rows - 1](group, panel, out, stride);
}

}  // namespace aorta::engine::cpu::avx512
