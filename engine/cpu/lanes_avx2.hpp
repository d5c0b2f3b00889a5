#pragma once
// 16 floats in two AVX2 registers. Meaning of each function: lanes_scalar.hpp.
#include <immintrin.h>

#include <cstdint>

#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu::avx2 {

struct Lanes {
  static constexpr bool in_registers = true;
  __m256 low, high;

  static Lanes zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Lanes set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Lanes load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  // All ones in the lanes before n, of the register whose first lane is `from`.
  static __m256i before(unsigned n, int from) {
    const __m256i index =
        _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(from));
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), index);
  }
  static Lanes load_first(const float* p, unsigned n) {
    return {_mm256_maskload_ps(p, before(n, 0)), _mm256_maskload_ps(p + 8, before(n, 8))};
  }
  static Lanes load_half(const std::uint16_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
            _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
  }
  static Lanes load_bfloat(const std::uint16_t* p) {
    const auto widen = [](const std::uint16_t* q) {
      const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(q));
      return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
    };
    return {widen(p), widen(p + 8)};
  }
  void store(float* p) const {
    _mm256_storeu_ps(p, low);
    _mm256_storeu_ps(p + 8, high);
  }
  void store_first(float* p, unsigned n) const {
    _mm256_maskstore_ps(p, before(n, 0), low);
    _mm256_maskstore_ps(p + 8, before(n, 8), high);
  }
  void store_half(std::uint16_t* p) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm256_cvtps_ph(low, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8),
                     _mm256_cvtps_ph(high, _MM_FROUND_TO_NEAREST_INT));
  }
  float first() const { return _mm256_cvtss_f32(low); }

  friend Lanes operator+(Lanes a, Lanes b) {
    return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
  }
  friend Lanes operator-(Lanes a, Lanes b) {
    return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
  }
  friend Lanes operator*(Lanes a, Lanes b) {
    return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
  }
  friend Lanes operator/(Lanes a, Lanes b) {
    return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
  }
};

inline Lanes fma(Lanes a, Lanes b, Lanes c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline Lanes max(Lanes a, Lanes b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
inline Lanes min(Lanes a, Lanes b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
inline Lanes abs(Lanes a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}
inline Lanes keep_first(Lanes a, unsigned n, float fill) {
  const __m256 other = _mm256_set1_ps(fill);
  return {_mm256_blendv_ps(other, a.low, _mm256_castsi256_ps(Lanes::before(n, 0))),
          _mm256_blendv_ps(other, a.high, _mm256_castsi256_ps(Lanes::before(n, 8)))};
}
inline Lanes zero_below(Lanes x, float limit, Lanes value) {
  const __m256 l = _mm256_set1_ps(limit);
  return {_mm256_and_ps(_mm256_cmp_ps(x.low, l, _CMP_GE_OQ), value.low),
          _mm256_and_ps(_mm256_cmp_ps(x.high, l, _CMP_GE_OQ), value.high)};
}
inline Lanes scale_by_power(Lanes value, Lanes shifted) {
  const auto scale = [](__m256 v, __m256 s) {
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(v), _mm256_slli_epi32(_mm256_castps_si256(s), 23)));
  };
  return {scale(value.low, shifted.low), scale(value.high, shifted.high)};
}
inline float sum(Lanes a) {
  const __m256 eight = _mm256_add_ps(a.low, a.high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline float maximum(Lanes a) {
  const __m256 eight = _mm256_max_ps(a.low, a.high);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline Lanes rotate_pairs(Lanes x, Lanes cos_sin) {
  const auto rotate = [](__m256 v, __m256 cs) {
    const __m256 crossed = _mm256_mul_ps(_mm256_permute_ps(v, 0xb1), _mm256_movehdup_ps(cs));
    return _mm256_fmaddsub_ps(v, _mm256_moveldup_ps(cs), crossed);
  };
  return {rotate(x.low, cos_sin.low), rotate(x.high, cos_sin.high)};
}
inline __m128i codes_of(Lanes shifted) {
  const __m256i bias = _mm256_set1_epi32(0x4b400000);  // 1.5 · 2^23
  const __m256i low = _mm256_sub_epi32(_mm256_castps_si256(shifted.low), bias);
  const __m256i high = _mm256_sub_epi32(_mm256_castps_si256(shifted.high), bias);
  // Packing works within 128-bit halves: put the 8 pairs of int16 back in order before the last.
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
  return _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}
// Of 16 codes: those of 8 bytes each are summed as unsigned, 128 too much each.
inline std::int32_t sum_of_codes(__m128i codes) {
  const __m128i eights = _mm_sad_epu8(_mm_xor_si128(codes, _mm_set1_epi8(static_cast<char>(0x80))),
                                      _mm_setzero_si128());
  return _mm_cvtsi128_si32(_mm_add_epi32(eights, _mm_shuffle_epi32(eights, 0x4e))) - 16 * 128;
}
inline CodeSums store_codes(Lanes first, Lanes other, std::int8_t* p) {
  const __m128i low = codes_of(first), high = codes_of(other);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), low);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 16), high);
  return {sum_of_codes(low), sum_of_codes(high)};
}

}  // namespace aorta::engine::cpu::avx2
