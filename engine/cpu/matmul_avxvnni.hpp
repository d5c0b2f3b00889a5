#pragma once
// How vpdpbusd sums products in 256-bit registers, for the kernels of matmul_avx2.hpp. In assembly,
// so that no compiler flag lets the instruction into anything else, and the choice of encoding is
// ours: {vex} is AVX-VNNI, {evex} AVX-512 VNNI and VL, with which tests run the same kernels.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "engine/cpu/matmul_avx2.hpp"

namespace aorta::engine::cpu::avx2 {

struct VexDot {
  // acc[lane] += Σ of 4 unsigned codes · 4 signed activations
  static inline __attribute__((always_inline)) void add(__m256i& acc, __m256i codes, __m256i x) {
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(codes), "x"(x));
  }
};

template <class Dot>
struct QuadSums {
  static constexpr int rows_at_once = 4;

  template <int R>
  struct Sums {
    inline __attribute__((always_inline)) void add(int r, __m256i codes, __m256i x,
                                                   __m256i (&dots)[R]) {
      Dot::add(dots[r], codes, x);
    }
    void widen(__m256i (&)[R]) {}
  };

  static constexpr bool signed_bytes = false;
  template <int R>
  static inline __attribute__((always_inline)) void dot_bytes(const std::byte* w,
                                                              const std::int8_t* x,
                                                              __m256i (&dots)[R]) {
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      const __m256i codes = load_codes(w + 64 * j);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) Dot::add(dots[r], codes, broadcast4(x + r * 32 + 4 * j));
    }
  }
};

// `base` with the products that meet quantised weights replaced by these.
template <class Dot>
Kernels with_quad_sums(Kernels base, const char* name) {
  using Way = QuadSums<Dot>;
  base.name = name;
  base.panel_rows = Way::rows_at_once;
  base.matmul_q4_0 = matmul<Q4_0, Way>;
  base.matmul_q4_1 = matmul<Q4_1, Way>;
  base.matmul_q5_0 = matmul<Q5_0, Way>;
  base.matmul_q5_1 = matmul<Q5_1, Way>;
  base.matmul_q8_0 = matmul<Q8_0, Way>;
  base.matmul_q4_k = matmul<Q4_K, Way>;
  base.matmul_q5_k = matmul<Q5_K, Way>;
  base.matmul_q6_k = matmul<Q6_K, Way>;
  return base;
}

}  // namespace aorta::engine::cpu::avx2
