// The avx512 table. Only this file is compiled with its flags: nothing here may be inlined
// elsewhere.
#include <immintrin.h>

#include "engine/batch/logit_weights.hpp"

namespace aorta::engine {
namespace {

using EightDoubles = double __attribute__((vector_size(64)));
using EightWords = std::uint64_t __attribute__((vector_size(64)));
using EightFloats = float __attribute__((vector_size(32)));
using Vectors = WeightVectors<EightDoubles, EightWords, EightFloats>;

constexpr std::size_t width = 16;

// What lies beyond the end reads as NaN, which no comparison finds.
__m512 load(std::span<const float> logits, std::size_t i) {
  const std::size_t left = logits.size() - i;
  if (left >= width) return _mm512_loadu_ps(&logits[i]);
  return _mm512_mask_loadu_ps(_mm512_set1_ps(__builtin_nanf("")),
                              static_cast<__mmask16>((1u << left) - 1), &logits[i]);
}

void block_maxima(std::span<const float> logits, float* maxima) {
  std::size_t i = 0;
  while (i < logits.size()) {
    const std::size_t end = i + logit_block < logits.size() ? i + logit_block : logits.size();
    __m512 best = _mm512_set1_ps(-__builtin_inff()), other = best;
    for (; i + 2 * width <= end; i += 2 * width) {
      best = _mm512_max_ps(_mm512_loadu_ps(&logits[i]), best);  // the second, when one is NaN
      other = _mm512_max_ps(_mm512_loadu_ps(&logits[i + width]), other);
    }
    for (; i < end; i += width) best = _mm512_max_ps(load(logits, i), best);
    i = end;
    *maxima++ = _mm512_reduce_max_ps(_mm512_max_ps(best, other));
  }
}

std::size_t write_indices(std::uint32_t mask, std::size_t base, std::uint32_t* indices) {
  std::size_t count = 0;
  for (; mask != 0; mask &= mask - 1) {
    indices[count++] = static_cast<std::uint32_t>(base + __builtin_ctz(mask));
  }
  return count;
}

std::size_t collect(std::span<const float> logits, float low, float high, std::uint32_t* indices) {
  const __m512 from = _mm512_set1_ps(low), below = _mm512_set1_ps(high);
  std::size_t count = 0;
  for (std::size_t i = 0; i < logits.size(); i += width) {
    const __m512 logit = load(logits, i);
    const __mmask16 mask = _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(logit, from, _CMP_GE_OQ),
                                                   logit, below, _CMP_LT_OQ);
    if (mask != 0) count += write_indices(mask, i, indices + count);
  }
  return count;
}

// 2^n by scalef, 2^f by a polynomial that is within 1.1e-7 on [-1/2, 1/2].
struct Tail {
  __m512 largest, floor, bar, high, low;

  explicit Tail(const TailWeighing& t)
      : largest(_mm512_set1_ps(t.largest)),
        floor(_mm512_set1_ps(t.floor)),
        bar(_mm512_set1_ps(t.bar)),
        high(_mm512_set1_ps(t.log2_high)),
        low(_mm512_set1_ps(t.log2_low)) {}

  __m512 weigh(__m512 logit) const {
    const __m512 d = _mm512_max_ps(_mm512_sub_ps(logit, largest), floor);
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(d, high), 0);
    const __m512 f = _mm512_fmadd_ps(d, low, _mm512_fmsub_ps(d, high, n));
    __m512 p = _mm512_set1_ps(0x1.5f0890161b0edp-10f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.3d10705277445p-7f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.c6af6cdbbdeefp-5f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.ebf906e26e804p-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.62e4302fc626dp-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.0000014413897p+0f));
    return _mm512_scalef_ps(p, n);
  }
};

Split split(std::span<const float> logits, const TailWeighing& weighing, std::uint32_t* indices) {
  const Tail tail(weighing);
  Split found;
  __m512d sum = _mm512_setzero_pd(), other = sum;
  const auto term = [&](std::size_t i) {
    const __m512 logit = load(logits, i);
    const __mmask16 above = _mm512_cmp_ps_mask(logit, tail.bar, _CMP_GE_OQ);
    if (above != 0) {
      found.at_or_above += write_indices(above, i, indices + found.at_or_above);
    }
    return _mm512_maskz_mov_ps(_knot_mask16(above), tail.weigh(logit));  // NaN weighs e^-80
  };
  const auto add = [&](__m512 four) {
    sum = _mm512_add_pd(sum, _mm512_cvtps_pd(_mm512_castps512_ps256(four)));
    other = _mm512_add_pd(other, _mm512_cvtps_pd(_mm512_extractf32x8_ps(four, 1)));
  };
  std::size_t i = 0;
  for (; i + 4 * width <= logits.size(); i += 4 * width) {
    const __m512 first = term(i), second = term(i + width);  // in order: they write indices
    const __m512 third = term(i + 2 * width), fourth = term(i + 3 * width);
    add(_mm512_add_ps(_mm512_add_ps(first, second), _mm512_add_ps(third, fourth)));
  }
  for (; i < logits.size(); i += width) add(term(i));
  found.tail = _mm512_reduce_add_pd(_mm512_add_pd(sum, other));
  return found;
}

}  // namespace

const LogitKernels& logit_kernels_avx512() {
  static constexpr LogitKernels table{"avx512",           block_maxima, Vectors::mass,
                                      Vectors::weigh_all, collect,      split};
  return table;
}

}  // namespace aorta::engine
