#pragma once
// Quantised matmul by AVX2: up to 4 rows of activations against 8 of a group's 16 outputs at a
// time. Integer sums are exact, in int16 where they cannot overflow. Definition: matmul_scalar.hpp.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu::avx2 {

inline constexpr std::uint32_t rows_at_once = 4;

inline __m256i load_codes(const std::byte* p) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
}
inline __m256 load_halves(const std::byte* p) {
  return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
}
inline __m256i broadcast4(const std::int8_t* p) {
  std::int32_t word;
  __builtin_memcpy(&word, p, sizeof(word));
  return _mm256_set1_epi32(word);
}
inline __m256i pairs_to_int32(__m256i words) {
  return _mm256_madd_epi16(words, _mm256_set1_epi16(1));
}

// 8 products of at most 15 · 127 · 2 each: their sum stays below 2^15.
template <int R>
inline __attribute__((always_inline)) void dot_nibbles(const std::byte* w, const std::int8_t* x,
                                                       __m256i (&dots)[R]) {
  const __m256i mask = _mm256_set1_epi8(0x0f);
  __m256i words[R];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) words[r] = _mm256_setzero_si256();
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m256i both = load_codes(w + 64 * j);
    const __m256i low = _mm256_and_si256(both, mask);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      words[r] =
          _mm256_add_epi16(words[r], _mm256_maddubs_epi16(low, broadcast4(x + r * 32 + 4 * j)));
      words[r] = _mm256_add_epi16(words[r],
                                  _mm256_maddubs_epi16(high, broadcast4(x + r * 32 + 16 + 4 * j)));
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) dots[r] = _mm256_add_epi32(dots[r], pairs_to_int32(words[r]));
}

// |code| <= 128 and |activation| <= 127: a pair of products just fits int16.
template <int R>
inline __attribute__((always_inline)) void dot_bytes(const std::byte* w, const std::int8_t* x,
                                                     __m256i (&dots)[R]) {
  const __m256i offset = _mm256_set1_epi8(static_cast<char>(0x80));
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) {
    const __m256i codes = _mm256_xor_si256(load_codes(w + 64 * j), offset);
    const __m256i magnitude = _mm256_abs_epi8(codes);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const __m256i signed_x = _mm256_sign_epi8(broadcast4(x + r * 32 + 4 * j), codes);
      dots[r] =
          _mm256_add_epi32(dots[r], pairs_to_int32(_mm256_maddubs_epi16(magnitude, signed_x)));
    }
  }
}

// acc = fma(d · scale, dot, acc)
template <int R>
inline __attribute__((always_inline)) void add_block(__m256 d, const float* scale,
                                                     const __m256i (&dots)[R], __m256 (&acc)[R]) {
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
    acc[r] = _mm256_fmadd_ps(_mm256_mul_ps(d, _mm256_set1_ps(scale[r])),
                             _mm256_cvtepi32_ps(dots[r]), acc[r]);
  }
}

// Where to find rows `first` .. `first + R` of a block of a panel.
struct PanelRows {
  const Panel& panel;
  std::uint32_t first;
  std::size_t at(std::uint32_t block) const {
    return static_cast<std::size_t>(block) * panel.rows + first;
  }
};

// Each format computes outputs 8 · half .. 8 · half + 7 of a group for R rows.
struct Q4_1 {
  template <int R>
  static inline void run(const std::byte* w, int half, PanelRows rows, __m256 (&acc)[R]) {
    for (std::uint32_t block = 0; block < rows.panel.blocks; ++block, w += q4_1_block_bytes) {
      const std::size_t at = rows.at(block);
      __m256i dots[R];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) dots[r] = _mm256_setzero_si256();
      dot_nibbles<R>(w + 32 * half, rows.panel.codes + at * quantum, dots);
      add_block<R>(load_halves(w + 256 + 16 * half), rows.panel.scale + at, dots, acc);
      const __m256 m = load_halves(w + 288 + 16 * half);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        acc[r] = _mm256_fmadd_ps(m, _mm256_set1_ps(rows.panel.scaled_sum[at + r]), acc[r]);
      }
    }
  }
};

template <std::size_t BlockBytes, int Shift>
struct Symmetric {
  template <int R>
  static inline void run(const std::byte* w, int half, PanelRows rows, __m256 (&acc)[R]) {
    const std::byte* scales = w + rows.panel.blocks * BlockBytes + 16 * half;
    for (std::uint32_t block = 0; block < rows.panel.blocks;
         ++block, w += BlockBytes, scales += 32) {
      const std::size_t at = rows.at(block);
      const std::int8_t* x = rows.panel.codes + at * quantum;
      __m256i dots[R];
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        dots[r] = Shift == 0 ? _mm256_setzero_si256()
                             : _mm256_slli_epi32(_mm256_set1_epi32(rows.panel.negative_sum[at + r]),
                                                 Shift);
      }
      if constexpr (BlockBytes == nibble_block_bytes) {
        dot_nibbles<R>(w + 32 * half, x, dots);
      } else {
        dot_bytes<R>(w + 32 * half, x, dots);
      }
      add_block<R>(load_halves(scales), rows.panel.scale + at, dots, acc);
    }
  }
};
using Q4_0 = Symmetric<nibble_block_bytes, 3>;
using Q8_0 = Symmetric<byte_block_bytes, 0>;  // its codes are made signed again: no offset

template <class Format, int R>
void matmul_rows(const std::byte* group, PanelRows rows, float* out, std::size_t stride) {
  for (int half = 0; half < 2; ++half) {
    __m256 acc[R];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) acc[r] = _mm256_setzero_ps();
    Format::template run<R>(group, half, rows, acc);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) _mm256_storeu_ps(out + r * stride + 8 * half, acc[r]);
  }
}

template <class Format>
void matmul(const std::byte* group, const Panel& panel, float* out, std::size_t stride) {
  std::uint32_t r = 0;
  for (; r + 4 <= panel.rows; r += 4) {
    matmul_rows<Format, 4>(group, {panel, r}, out + r * stride, stride);
  }
  out += r * stride;
  switch (panel.rows - r) {
    case 3:
      return matmul_rows<Format, 3>(group, {panel, r}, out, stride);
    case 2:
      return matmul_rows<Format, 2>(group, {panel, r}, out, stride);
    case 1:
      return matmul_rows<Format, 1>(group, {panel, r}, out, stride);
    default:
      return;
  }
}

}  // namespace aorta::engine::cpu::avx2
