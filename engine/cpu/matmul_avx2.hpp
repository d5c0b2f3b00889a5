#pragma once
// Quantised matmul in 256-bit registers: a few rows of activations against 8 of a group's 16
// outputs at a time. How products are summed is a parameter: AVX2's way is here, AVX-VNNI's in
// matmul_avxvnni.hpp. Definition: matmul_scalar.hpp.
#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "engine/cpu/kernels.hpp"

#define AORTA_INLINE inline __attribute__((always_inline))

namespace aorta::engine::cpu::avx2 {

AORTA_INLINE __m256i load_codes(const std::byte* p) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
}
AORTA_INLINE __m256 load_halves(const std::byte* p) {
  return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
}
AORTA_INLINE __m128i load_sub_scales(const std::byte* p) {
  return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
}
AORTA_INLINE __m256i broadcast4(const std::int8_t* p) {
  std::int32_t word;
  __builtin_memcpy(&word, p, sizeof(word));
  return _mm256_set1_epi32(word);
}

// AVX2: pairs of products in int16. 2 · 127 · (largest code) · (quads summed) stays below 2^15, so
// sums are widened in time: after 8 quads of 4-bit codes, 4 of 5 bits, 2 of 6 bits.
struct PairSums {
  static constexpr int rows_at_once = 4;

  template <int R>
  struct Sums {
    __m256i words[R];
    AORTA_INLINE Sums() {
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) words[r] = _mm256_setzero_si256();
    }
    AORTA_INLINE void add(int r, __m256i codes, __m256i x, __m256i (&)[R]) {
      words[r] = _mm256_add_epi16(words[r], _mm256_maddubs_epi16(codes, x));
    }
    AORTA_INLINE void widen(__m256i (&dots)[R]) {
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        dots[r] = _mm256_add_epi32(dots[r], _mm256_madd_epi16(words[r], _mm256_set1_epi16(1)));
        words[r] = _mm256_setzero_si256();
      }
    }
  };

  // Bytes are made signed again: |code| <= 128 and |activation| <= 127, so a pair just fits int16.
  static constexpr bool signed_bytes = true;
  template <int R>
  static AORTA_INLINE void dot_bytes(const std::byte* w, const std::int8_t* x, __m256i (&dots)[R]) {
    const __m256i offset = _mm256_set1_epi8(static_cast<char>(0x80));
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      const __m256i codes = _mm256_xor_si256(load_codes(w + 64 * j), offset);
      const __m256i magnitude = _mm256_abs_epi8(codes);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const __m256i signed_x = _mm256_sign_epi8(broadcast4(x + r * 32 + 4 * j), codes);
        const __m256i pairs = _mm256_maddubs_epi16(magnitude, signed_x);
        dots[r] = _mm256_add_epi32(dots[r], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
      }
    }
  }
};

// Codes of each width: dot adds codes · activations of a block to dots[r].
template <class Way>
struct Nibbles {
  static constexpr std::size_t bytes = nibble_block_bytes;
  template <int R>
  static AORTA_INLINE void dot(const std::byte* w, const std::int8_t* x, __m256i (&dots)[R]) {
    const __m256i mask = _mm256_set1_epi8(0x0f);
    typename Way::template Sums<R> sums;
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m256i both = load_codes(w + 64 * j);
      const __m256i low = _mm256_and_si256(both, mask);
      const __m256i high = _mm256_and_si256(_mm256_srli_epi16(both, 4), mask);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        sums.add(r, low, broadcast4(x + r * 32 + 4 * j), dots);
        sums.add(r, high, broadcast4(x + r * 32 + 16 + 4 * j), dots);
      }
    }
    sums.widen(dots);
  }
};

template <class Way>
struct Fives {
  static constexpr std::size_t bytes = five_block_bytes;
  template <int R>
  static AORTA_INLINE void dot(const std::byte* w, const std::int8_t* x, __m256i (&dots)[R]) {
    const __m256i mask = _mm256_set1_epi8(0x0f), fifth = _mm256_set1_epi8(0x10);
    const __m256i fifths = load_codes(w + nibble_block_bytes);
    typename Way::template Sums<R> sums;
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m256i both = load_codes(w + 64 * j);
      const __m256i low = _mm256_or_si256(
          _mm256_and_si256(both, mask), _mm256_and_si256(_mm256_slli_epi16(fifths, 4 - j), fifth));
      const __m256i high = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(both, 4), mask),
                                           _mm256_and_si256(_mm256_srli_epi16(fifths, j), fifth));
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        sums.add(r, low, broadcast4(x + r * 32 + 4 * j), dots);
        sums.add(r, high, broadcast4(x + r * 32 + 16 + 4 * j), dots);
      }
      if (j % 2 == 1) sums.widen(dots);
    }
  }
};

template <class Way>
struct Bytes {
  static constexpr std::size_t bytes = byte_block_bytes;
  template <int R>
  static AORTA_INLINE void dot(const std::byte* w, const std::int8_t* x, __m256i (&dots)[R]) {
    Way::template dot_bytes<R>(w, x, dots);
  }
};

// 6-bit codes over 16 of a block's columns, the first or the other half.
template <class Way, int R, bool Upper>
AORTA_INLINE void dot_sixes(const std::byte* w, const std::int8_t* x, __m256i (&dots)[R]) {
  const __m256i mask = _mm256_set1_epi8(0x0f), upper_two = _mm256_set1_epi8(0x30);
  const __m256i uppers = load_codes(w + nibble_block_bytes + (Upper ? 64 : 0));
  typename Way::template Sums<R> sums;
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m256i both = load_codes(w + 64 * j);
    const __m256i low = _mm256_and_si256(Upper ? _mm256_srli_epi16(both, 4) : both, mask);
    const __m256i placed =
        j < 3 ? _mm256_slli_epi16(uppers, j < 3 ? 4 - 2 * j : 0) : _mm256_srli_epi16(uppers, 2);
    const __m256i codes = _mm256_or_si256(low, _mm256_and_si256(placed, upper_two));
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      sums.add(r, codes, broadcast4(x + r * 32 + (Upper ? 16 : 0) + 4 * j), dots);
    }
    if (j % 2 == 1) sums.widen(dots);
  }
}

// acc = fma(d · scale, dot, acc)
template <int R>
AORTA_INLINE void add_scaled(__m256 d, const float* scale, const __m256i (&dots)[R],
                             __m256 (&acc)[R]) {
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    acc[r] = _mm256_fmadd_ps(_mm256_mul_ps(d, _mm256_set1_ps(scale[r])),
                             _mm256_cvtepi32_ps(dots[r]), acc[r]);
  }
}

// The same, and then acc = fma(m, scaled_sum, acc). `at`: of the block's first row in the panel.
template <class Codes, int R>
AORTA_INLINE void add_with_minimum(const std::byte* codes, __m256 d, __m256 m, const Panel& panel,
                                   std::size_t at, __m256 (&acc)[R]) {
  __m256i dots[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) dots[r] = _mm256_setzero_si256();
  Codes::template dot<R>(codes, panel.codes + at * quantum, dots);
  add_scaled<R>(d, panel.scale + at, dots, acc);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    acc[r] = _mm256_fmadd_ps(m, _mm256_set1_ps(panel.scaled_sum[at + r]), acc[r]);
  }
}

// Each format adds outputs 8 · half .. 8 · half + 7 of a group for R rows.
template <class Codes>
struct Minimum {
  template <int R>
  static inline void run(const std::byte* w, int half, const Panel& panel, __m256 (&acc)[R]) {
    for (std::uint32_t block = 0; block < panel.blocks; ++block) {
      const std::byte* scales = w + Codes::bytes + 16 * half;
      add_with_minimum<Codes, R>(w + 32 * half, load_halves(scales), load_halves(scales + 32),
                                 panel, std::size_t{block} * R, acc);
      w += Codes::bytes + scales_bytes;
    }
  }
};
template <class Way>
using Q4_1 = Minimum<Nibbles<Way>>;
template <class Way>
using Q5_1 = Minimum<Fives<Way>>;

// Symmetric formats store code + 2^Shift (0: they are signed when met), so their dots start at
// -2^Shift · Σ activations.
template <class Codes, int Shift>
struct Symmetric {
  template <int R>
  static inline void run(const std::byte* w, int half, const Panel& panel, __m256 (&acc)[R]) {
    const std::byte* scales = w;
    for (std::uint32_t block = 0; block < panel.blocks; ++block) {
      if (block % 2 == 0) {  // two blocks share 64 bytes of scales
        scales = w + 16 * half;
        w += scales_bytes;
      }
      const std::size_t at = std::size_t{block} * R;
      __m256i dots[R];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        dots[r] = Shift == 0
                      ? _mm256_setzero_si256()
                      : _mm256_slli_epi32(_mm256_set1_epi32(panel.negative_sum[at + r]), Shift);
      }
      Codes::template dot<R>(w + 32 * half, panel.codes + at * quantum, dots);
      add_scaled<R>(load_halves(scales), panel.scale + at, dots, acc);
      w += Codes::bytes;
      scales += 32;
    }
  }
};
template <class Way>
using Q4_0 = Symmetric<Nibbles<Way>, 3>;
template <class Way>
using Q5_0 = Symmetric<Fives<Way>, 4>;
template <class Way>
using Q8_0 = Symmetric<Bytes<Way>, Way::signed_bytes ? 0 : 7>;

// Calls block(halves, scales, codes, index of the block) for each block of a K format.
template <std::size_t CodeBytes, class Block>
AORTA_INLINE void each_super_block(const std::byte* w, std::uint32_t blocks, Block block) {
  for (std::uint32_t first = 0; first < blocks; first += super_block) {
    const std::byte *halves = w, *scales = w + scales_bytes;
    w += super_scales_bytes;
    for (std::uint32_t i = 0; i < super_block; ++i, scales += sub_scales_bytes, w += CodeBytes) {
      block(halves, scales, w, first + i);
    }
  }
}

template <class Codes>
struct SuperMinimum {
  template <int R>
  static inline void run(const std::byte* group, int half, const Panel& panel, __m256 (&acc)[R]) {
    each_super_block<Codes::bytes>(
        group, panel.blocks,
        [&](const std::byte* halves, const std::byte* scales, const std::byte* codes,
            std::uint32_t block) __attribute__((always_inline)) {
          const __m256i scale = _mm256_cvtepu8_epi32(load_sub_scales(scales + 8 * half));
          const __m256i minimum = _mm256_cvtepu8_epi32(load_sub_scales(scales + lanes + 8 * half));
          const __m256 d =
              _mm256_mul_ps(load_halves(halves + 16 * half), _mm256_cvtepi32_ps(scale));
          const __m256 m =
              _mm256_mul_ps(load_halves(halves + 32 + 16 * half), _mm256_cvtepi32_ps(minimum));
          add_with_minimum<Codes, R>(codes + 32 * half, d, m, panel, std::size_t{block} * R, acc);
        });
  }
};
template <class Way>
using Q4_K = SuperMinimum<Nibbles<Way>>;
template <class Way>
using Q5_K = SuperMinimum<Fives<Way>>;

template <class Way>
struct Q6_K {
  template <int R>
  static inline void run(const std::byte* group, int half, const Panel& panel, __m256 (&acc)[R]) {
    each_super_block<six_block_bytes>(
        group, panel.blocks,
        [&](const std::byte* halves, const std::byte* scales, const std::byte* codes,
            std::uint32_t block) __attribute__((always_inline)) {
          const __m256 d = load_halves(halves + 16 * half);
          codes += 32 * half, scales += 8 * half;
          add_half<R, false>(codes, d, scales, panel, std::size_t{block} * R, acc);
          add_half<R, true>(codes, d, scales + lanes, panel, std::size_t{block} * R, acc);
        });
  }

 private:
  template <int R, bool Upper>
  static AORTA_INLINE void add_half(const std::byte* codes, __m256 d, const std::byte* scales,
                                    const Panel& panel, std::size_t at, __m256 (&acc)[R]) {
    __m256i dots[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const std::int32_t sum = panel.negative_halves[2 * (at + r) + Upper];
      dots[r] = _mm256_slli_epi32(_mm256_set1_epi32(sum), 5);
    }
    dot_sixes<Way, R, Upper>(codes, panel.codes + at * quantum, dots);
    const __m256i scale = _mm256_cvtepi8_epi32(load_sub_scales(scales));
    add_scaled<R>(_mm256_mul_ps(d, _mm256_cvtepi32_ps(scale)), panel.scale + at, dots, acc);
  }
};

template <class Format, int R>
void matmul_rows(const std::byte* group, const Panel& panel, float* out, std::size_t stride) {
  for (int half = 0; half < 2; ++half) {
    __m256 acc[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) acc[r] = _mm256_setzero_ps();
    Format::template run<R>(group, half, panel, acc);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) _mm256_storeu_ps(out + r * stride + 8 * half, acc[r]);
  }
}

// `panel` has at most Way::rows_at_once rows.
template <template <class> class Format, class Way>
void matmul(const std::byte* group, const Panel& panel, float* out, std::size_t stride) {
  static constexpr auto by_rows = []<int... R>(std::integer_sequence<int, R...>) {
    return std::array<QuantisedMatmul, sizeof...(R)>{matmul_rows<Format<Way>, R + 1>...};
  }
  (std::make_integer_sequence<int, Way::rows_at_once>());
  by_rows[panel.rows - 1](group, panel, out, stride);
}

}  // namespace aorta::engine::cpu::avx2

#undef AORTA_INLINE
