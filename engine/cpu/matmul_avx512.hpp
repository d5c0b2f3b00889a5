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

// Weights are asked for this far before they are used.
inline constexpr std::size_t prefetch_ahead = 2560;
inline constexpr int few_rows = 4;

inline void prefetch(const std::byte* p, int cache_lines) {
#pragma GCC unroll 8
  for (int i = 0; i < cache_lines; ++i) {
    _mm_prefetch(reinterpret_cast<const char*>(p) + prefetch_ahead + 64 * i, _MM_HINT_T0);
  }
}
// What a later op reads: not into the nearest cache, where the rows and weights of this one are.
inline void fetch_ahead(const std::byte* p) {
#pragma GCC unroll 8
  for (std::size_t i = 0; i < ahead_bytes; i += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(p) + i, _MM_HINT_T0);
  }
}
inline __m512 load_halves(const std::byte* p) {
  return _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)));
}

// low | (bits & mask)
inline __m512i pick_bits(__m512i low, __m512i bits, __m512i mask) {
  return _mm512_ternarylogic_epi32(low, bits, mask, 0xf8);
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

// Codes of a block of each width: how many bytes, and how they meet the activations.
struct Nibbles {
  static constexpr std::size_t bytes = nibble_block_bytes;
  template <int R>
  static inline __attribute__((always_inline)) void dot(const std::byte* w, const std::int8_t* x,
                                                        __m512i (&dots)[R]) {
    dot_nibbles<R>(w, x, dots);
  }
};

struct Fives {
  static constexpr std::size_t bytes = five_block_bytes;
  template <int R>
  static inline __attribute__((always_inline)) void dot(const std::byte* w, const std::int8_t* x,
                                                        __m512i (&dots)[R]) {
    const __m512i mask = _mm512_set1_epi8(0x0f), fifth = _mm512_set1_epi8(0x10);
    const __m512i fifths = _mm512_load_si512(w + nibble_block_bytes);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m512i both = _mm512_load_si512(w + 64 * j);
      const __m512i low =
          pick_bits(_mm512_and_si512(both, mask), _mm512_slli_epi16(fifths, 4 - j), fifth);
      const __m512i high = pick_bits(_mm512_and_si512(_mm512_srli_epi16(both, 4), mask),
                                     _mm512_srli_epi16(fifths, j), fifth);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) AORTA_DOT(dots[r], low, x + r * 32 + 4 * j);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) AORTA_DOT(dots[r], high, x + r * 32 + 16 + 4 * j);
    }
  }
};

struct Bytes {
  static constexpr std::size_t bytes = byte_block_bytes;
  template <int R>
  static inline __attribute__((always_inline)) void dot(const std::byte* w, const std::int8_t* x,
                                                        __m512i (&dots)[R]) {
    dot_bytes<R>(w, x, dots);
  }
};

// dots[r] += 6-bit codes · activations over 16 of a block's columns, the first or the other half.
template <int R, bool Upper>
inline __attribute__((always_inline)) void dot_sixes(const std::byte* w, const std::int8_t* x,
                                                     __m512i (&dots)[R]) {
  const __m512i mask = _mm512_set1_epi8(0x0f), upper_two = _mm512_set1_epi8(0x30);
  const __m512i uppers = _mm512_load_si512(w + nibble_block_bytes + (Upper ? 64 : 0));
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512i both = _mm512_load_si512(w + 64 * j);
    const __m512i low = _mm512_and_si512(Upper ? _mm512_srli_epi16(both, 4) : both, mask);
    const __m512i placed =
        j < 3 ? _mm512_slli_epi16(uppers, j < 3 ? 4 - 2 * j : 0) : _mm512_srli_epi16(uppers, 2);
    const __m512i codes = pick_bits(low, placed, upper_two);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) AORTA_DOT(dots[r], codes, x + r * 32 + (Upper ? 16 : 0) + 4 * j);
  }
}

// What R rows of activations bring to a block.
template <int R>
struct Rows {
  const std::int8_t* codes;
  const float *scale, *scaled_sum;
  const std::int32_t *negative_sum, *negative_halves;

  explicit Rows(const Panel& panel)
      : codes(panel.codes),
        scale(panel.scale),
        scaled_sum(panel.scaled_sum),
        negative_sum(panel.negative_sum),
        negative_halves(panel.negative_halves) {}
  void next() {
    codes += R * 32, scale += R, scaled_sum += R, negative_sum += R, negative_halves += 2 * R;
  }
};

// acc = fma(d · scale, dot, acc)
template <int R>
inline __attribute__((always_inline)) void add_scaled(__m512 d, const float* scale,
                                                      const __m512i (&dots)[R], __m512 (&acc)[R]) {
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    acc[r] = _mm512_fmadd_ps(_mm512_mul_ps(d, _mm512_set1_ps(scale[r])),
                             _mm512_cvtepi32_ps(dots[r]), acc[r]);
  }
}

// The same, and then acc = fma(m, scaled_sum, acc).
template <class Codes, int R>
inline __attribute__((always_inline)) void add_with_minimum(const std::byte* codes, __m512 d,
                                                            __m512 m, const Rows<R>& rows,
                                                            __m512 (&acc)[R]) {
  __m512i dots[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) dots[r] = _mm512_setzero_si512();
  Codes::template dot<R>(codes, rows.codes, dots);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    acc[r] = _mm512_fmadd_ps(_mm512_mul_ps(d, _mm512_set1_ps(rows.scale[r])),
                             _mm512_cvtepi32_ps(dots[r]), acc[r]);
    acc[r] = _mm512_fmadd_ps(m, _mm512_set1_ps(rows.scaled_sum[r]), acc[r]);
  }
}

// Each format: where its blocks lie, how its dots start, and what a block adds to a sum.
template <class Codes>
struct Minimum {
  static constexpr std::size_t block_bytes = Codes::bytes + scales_bytes;
  const std::byte* codes;
  explicit Minimum(const std::byte* group) : codes(group) {}
  template <int R>
  __attribute__((always_inline)) void block(const Rows<R>& rows, __m512 (&acc)[R]) {
    if constexpr (R <= few_rows) prefetch(codes, Codes::bytes / 64 + 1);
    const std::byte* scales = codes + Codes::bytes;
    add_with_minimum<Codes, R>(codes, load_halves(scales), load_halves(scales + 32), rows, acc);
    codes = scales + scales_bytes;
  }
};
using Q4_1 = Minimum<Nibbles>;
using Q5_1 = Minimum<Fives>;

// Symmetric formats store code + 2^Shift, so their dots start at -2^Shift · Σ activations.
template <class Codes, int Shift>
struct Symmetric {
  static constexpr std::size_t block_bytes = Codes::bytes + scales_bytes / 2;
  const std::byte *codes, *scales = nullptr;
  bool second = false;  // of the two blocks that share 64 bytes of scales
  explicit Symmetric(const std::byte* group) : codes(group) {}
  template <int R>
  __attribute__((always_inline)) void block(const Rows<R>& rows, __m512 (&acc)[R]) {
    if (!second) {
      if constexpr (R <= few_rows) prefetch(codes, 1);
      scales = codes;
      codes += scales_bytes;
    }
    if constexpr (R <= few_rows) prefetch(codes, Codes::bytes / 64);
    __m512i dots[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      dots[r] = _mm512_slli_epi32(_mm512_set1_epi32(rows.negative_sum[r]), Shift);
    }
    Codes::template dot<R>(codes, rows.codes, dots);
    add_scaled<R>(load_halves(scales), rows.scale, dots, acc);
    codes += Codes::bytes;
    scales += 32;
    second = !second;
  }
};
using Q4_0 = Symmetric<Nibbles, 3>;
using Q5_0 = Symmetric<Fives, 4>;
using Q8_0 = Symmetric<Bytes, 7>;

// Walks the blocks of a K format, whose scales lie before every eighth.
template <std::size_t CodeBytes>
struct SuperBlocks {
  static constexpr std::size_t block_bytes = CodeBytes + super_scales_bytes / super_block;
  const std::byte *halves = nullptr, *scales = nullptr, *codes;
  std::uint32_t index = 0;
  explicit SuperBlocks(const std::byte* group) : codes(group) {}
  template <int R>
  __attribute__((always_inline)) void begin() {
    if (index++ % super_block == 0) {
      if constexpr (R <= few_rows) prefetch(codes, super_scales_bytes / 64);
      halves = codes;
      scales = halves + scales_bytes;
      codes += super_scales_bytes;
    }
    if constexpr (R <= few_rows) prefetch(codes, CodeBytes / 64);
  }
  void end() {
    codes += CodeBytes;
    scales += sub_scales_bytes;
  }
};
inline __m128i load_sub_scales(const std::byte* p) {
  return _mm_load_si128(reinterpret_cast<const __m128i*>(p));
}

template <class Codes>
struct SuperMinimum : SuperBlocks<Codes::bytes> {
  explicit SuperMinimum(const std::byte* group) : SuperBlocks<Codes::bytes>(group) {}
  template <int R>
  __attribute__((always_inline)) void block(const Rows<R>& rows, __m512 (&acc)[R]) {
    this->template begin<R>();
    const __m512i scale = _mm512_cvtepu8_epi32(load_sub_scales(this->scales));
    const __m512i minimum = _mm512_cvtepu8_epi32(load_sub_scales(this->scales + lanes));
    const __m512 d = _mm512_mul_ps(load_halves(this->halves), _mm512_cvtepi32_ps(scale));
    const __m512 m = _mm512_mul_ps(load_halves(this->halves + 32), _mm512_cvtepi32_ps(minimum));
    add_with_minimum<Codes, R>(this->codes, d, m, rows, acc);
    this->end();
  }
};
using Q4_K = SuperMinimum<Nibbles>;
using Q5_K = SuperMinimum<Fives>;

struct Q6_K : SuperBlocks<six_block_bytes> {
  explicit Q6_K(const std::byte* group) : SuperBlocks(group) {}
  template <int R>
  __attribute__((always_inline)) void block(const Rows<R>& rows, __m512 (&acc)[R]) {
    begin<R>();
    half<R, false>(rows, acc);
    half<R, true>(rows, acc);
    end();
  }

 private:
  template <int R, bool Upper>
  __attribute__((always_inline)) void half(const Rows<R>& rows, __m512 (&acc)[R]) {
    __m512i dots[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      dots[r] = _mm512_slli_epi32(_mm512_set1_epi32(rows.negative_halves[2 * r + Upper]), 5);
    }
    dot_sixes<R, Upper>(codes, rows.codes, dots);
    const __m512i scale = _mm512_cvtepi8_epi32(load_sub_scales(scales + Upper * lanes));
    add_scaled<R>(_mm512_mul_ps(load_halves(halves), _mm512_cvtepi32_ps(scale)), rows.scale, dots,
                  acc);
  }
};

#undef AORTA_DOT

template <class Format, int R>
void matmul_rows(const std::byte* group, const Panel& panel, float* out, std::size_t stride) {
  __m512 acc[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) acc[r] = _mm512_setzero_ps();
  Format format(group);
  Rows<R> rows(panel);
  const std::byte* ahead = panel.ahead != nullptr ? panel.ahead : group;
  const std::size_t step = panel.ahead != nullptr ? ahead_bytes : 0;
  for (std::uint32_t block = 0; block < panel.blocks; ++block, rows.next(), ahead += step) {
    if constexpr (R > few_rows) {
      fetch_ahead(ahead);
      prefetch(group + block * Format::block_bytes, (Format::block_bytes + 63) / 64);
    }
    format.template block<R>(rows, acc);
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
