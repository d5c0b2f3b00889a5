#pragma once
// 16 floats in one AVX-512 register. Meaning of each function: lanes_scalar.hpp.
#include <immintrin.h>

#include <cstdint>

#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu::avx512 {

struct Lanes {
  static constexpr bool in_registers = true;
  __m512 v;

  static __mmask16 before(unsigned n) {
    return static_cast<__mmask16>(n >= 16 ? 0xffffu : (1u << n) - 1u);
  }
  static Lanes zero() { return {_mm512_setzero_ps()}; }
  static Lanes set(float x) { return {_mm512_set1_ps(x)}; }
  static Lanes load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Lanes load_first(const float* p, unsigned n) {
    return {_mm512_maskz_loadu_ps(before(n), p)};
  }
  static Lanes load_half(const std::uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static Lanes load_bfloat(const std::uint16_t* p) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store_first(float* p, unsigned n) const { _mm512_mask_storeu_ps(p, before(n), v); }
  void store_half(std::uint16_t* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  float first() const { return _mm512_cvtss_f32(v); }

  friend Lanes operator+(Lanes a, Lanes b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend Lanes operator-(Lanes a, Lanes b) { return {_mm512_sub_ps(a.v, b.v)}; }
  friend Lanes operator*(Lanes a, Lanes b) { return {_mm512_mul_ps(a.v, b.v)}; }
  friend Lanes operator/(Lanes a, Lanes b) { return {_mm512_div_ps(a.v, b.v)}; }
};

inline Lanes fma(Lanes a, Lanes b, Lanes c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Lanes max(Lanes a, Lanes b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Lanes min(Lanes a, Lanes b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Lanes abs(Lanes a) { return {_mm512_abs_ps(a.v)}; }
inline Lanes keep_first(Lanes a, unsigned n, float fill) {
  return {_mm512_mask_mov_ps(_mm512_set1_ps(fill), Lanes::before(n), a.v)};
}
inline Lanes zero_below(Lanes x, float limit, Lanes value) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, _mm512_set1_ps(limit), _CMP_GE_OQ), value.v)};
}
inline Lanes scale_by_power(Lanes value, Lanes shifted) {
  return {_mm512_castsi512_ps(_mm512_add_epi32(
      _mm512_castps_si512(value.v), _mm512_slli_epi32(_mm512_castps_si512(shifted.v), 23)))};
}
inline __m256 upper_half(__m512 v) {
  return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1));
}
inline float sum(Lanes a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), upper_half(a.v));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline float maximum(Lanes a) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a.v), upper_half(a.v));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}
inline Lanes rotate_pairs(Lanes x, Lanes cos_sin) {
  const __m512 crossed = _mm512_mul_ps(_mm512_permute_ps(x.v, 0xb1), _mm512_movehdup_ps(cos_sin.v));
  return {_mm512_fmaddsub_ps(x.v, _mm512_moveldup_ps(cos_sin.v), crossed)};
}
inline CodeSums store_codes(Lanes first, Lanes other, std::int8_t* p) {
  // The low byte of n + 1.5 · 2^23 is n's.
  const __m128i low = _mm512_cvtepi32_epi8(_mm512_castps_si512(first.v));
  const __m128i high = _mm512_cvtepi32_epi8(_mm512_castps_si512(other.v));
  const __m256i codes = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), codes);
  // Sums of 8 bytes each as if unsigned, 128 too much each; then of two such.
  const __m256i sign = _mm256_set1_epi8(static_cast<char>(0x80));
  const __m256i eights = _mm256_sad_epu8(_mm256_xor_si256(codes, sign), _mm256_setzero_si256());
  const __m256i sums = _mm256_add_epi32(eights, _mm256_shuffle_epi32(eights, 0x4e));
  return {_mm_cvtsi128_si32(_mm256_castsi256_si128(sums)) - 16 * 128,
          _mm_cvtsi128_si32(_mm256_extracti128_si256(sums, 1)) - 16 * 128};
}

}  // namespace aorta::engine::cpu::avx512
