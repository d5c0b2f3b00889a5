// The avx2 table. Only this file is compiled with its flags: nothing here may be inlined elsewhere.
#include <immintrin.h>

#include "engine/batch/logit_weights.hpp"

namespace aorta::engine {
namespace {

using FourDoubles = double __attribute__((vector_size(32)));
using FourWords = std::uint64_t __attribute__((vector_size(32)));
using FourFloats = float __attribute__((vector_size(16)));
using Vectors = WeightVectors<FourDoubles, FourWords, FourFloats>;

constexpr std::size_t width = 8;

// What lies beyond the end reads as NaN, which no comparison finds.
__m256 load(std::span<const float> logits, std::size_t i) {
  const std::size_t left = logits.size() - i;
  if (left >= width) return _mm256_loadu_ps(&logits[i]);
  const __m256i present = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(left)),
                                             _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  return _mm256_blendv_ps(_mm256_set1_ps(__builtin_nanf("")),
                          _mm256_maskload_ps(&logits[i], present), _mm256_castsi256_ps(present));
}

float largest_of(__m256 x) {
  __m128 best = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  best = _mm_max_ps(best, _mm_movehl_ps(best, best));
  best = _mm_max_ss(best, _mm_movehdup_ps(best));
  return _mm_cvtss_f32(best);
}

void block_maxima(std::span<const float> logits, float* maxima) {
  std::size_t i = 0;
  while (i < logits.size()) {
    const std::size_t end = i + logit_block < logits.size() ? i + logit_block : logits.size();
    __m256 best = _mm256_set1_ps(-__builtin_inff()), other = best;
    for (; i + 2 * width <= end; i += 2 * width) {
      best = _mm256_max_ps(_mm256_loadu_ps(&logits[i]), best);  // the second, when one is NaN
      other = _mm256_max_ps(_mm256_loadu_ps(&logits[i + width]), other);
    }
    for (; i < end; i += width) best = _mm256_max_ps(load(logits, i), best);
    i = end;
    *maxima++ = largest_of(_mm256_max_ps(best, other));
  }
}

std::size_t write_indices(std::uint32_t mask, std::size_t base, std::uint32_t* indices) {
  std::size_t count = 0;
  for (; mask != 0; mask &= mask - 1) {
    indices[count++] = static_cast<std::uint32_t>(base + __builtin_ctz(mask));
  }
  return count;
}

std::uint32_t mask_of(__m256 comparison) {
  return static_cast<std::uint32_t>(_mm256_movemask_ps(comparison));
}

std::size_t collect(std::span<const float> logits, float low, float high, std::uint32_t* indices) {
  const __m256 from = _mm256_set1_ps(low), below = _mm256_set1_ps(high);
  std::size_t count = 0;
  for (std::size_t i = 0; i < logits.size(); i += width) {
    const __m256 logit = load(logits, i);
    const std::uint32_t mask = mask_of(_mm256_and_ps(_mm256_cmp_ps(logit, from, _CMP_GE_OQ),
                                                     _mm256_cmp_ps(logit, below, _CMP_LT_OQ)));
    if (mask != 0) count += write_indices(mask, i, indices + count);
  }
  return count;
}

// 2^n in the exponent's bits, 2^f by a polynomial that is within 1.1e-7 on [-1/2, 1/2].
struct Tail {
  __m256 largest, floor, bar, high, low;
  // Adding it leaves the nearest integer in the low bits.
  const __m256 round_to_integer = _mm256_set1_ps(0x1.8p23f);

  explicit Tail(const TailWeighing& t)
      : largest(_mm256_set1_ps(t.largest)),
        floor(_mm256_set1_ps(t.floor)),
        bar(_mm256_set1_ps(t.bar)),
        high(_mm256_set1_ps(t.log2_high)),
        low(_mm256_set1_ps(t.log2_low)) {}

  __m256 weigh(__m256 logit) const {
    const __m256 d = _mm256_max_ps(_mm256_sub_ps(logit, largest), floor);
    const __m256 shifted = _mm256_fmadd_ps(d, high, round_to_integer);
    const __m256 n = _mm256_sub_ps(shifted, round_to_integer);
    const __m256 f = _mm256_fmadd_ps(d, low, _mm256_fmsub_ps(d, high, n));
    __m256 p = _mm256_set1_ps(0x1.5f0890161b0edp-10f);
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.3d10705277445p-7f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.c6af6cdbbdeefp-5f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.ebf906e26e804p-3f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.62e4302fc626dp-1f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(0x1.0000014413897p+0f));
    const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), exponent));
  }
};

Split split(std::span<const float> logits, const TailWeighing& weighing, std::uint32_t* indices) {
  const Tail tail(weighing);
  Split found;
  __m256d sum = _mm256_setzero_pd(), other = sum;
  const auto term = [&](std::size_t i) {
    const __m256 logit = load(logits, i);
    const __m256 above = _mm256_cmp_ps(logit, tail.bar, _CMP_GE_OQ);
    if (const std::uint32_t mask = mask_of(above); mask != 0) {
      found.at_or_above += write_indices(mask, i, indices + found.at_or_above);
    }
    return _mm256_andnot_ps(above, tail.weigh(logit));  // NaN weighs e^-80
  };
  const auto add = [&](__m256 four) {
    sum = _mm256_add_pd(sum, _mm256_cvtps_pd(_mm256_castps256_ps128(four)));
    other = _mm256_add_pd(other, _mm256_cvtps_pd(_mm256_extractf128_ps(four, 1)));
  };
  std::size_t i = 0;
  for (; i + 4 * width <= logits.size(); i += 4 * width) {
    const __m256 first = term(i), second = term(i + width);  // in order: they write indices
    const __m256 third = term(i + 2 * width), fourth = term(i + 3 * width);
    add(_mm256_add_ps(_mm256_add_ps(first, second), _mm256_add_ps(third, fourth)));
  }
  for (; i < logits.size(); i += width) add(term(i));
  double lanes[4];
  _mm256_storeu_pd(lanes, _mm256_add_pd(sum, other));
  found.tail = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
  return found;
}

}  // namespace

const LogitKernels& logit_kernels_avx2() {
  static constexpr LogitKernels table{"avx2",  block_maxima, Vectors::mass, Vectors::weigh_all,
                                      collect, split};
  return table;
}

}  // namespace aorta::engine
