// AVX-VNNI's kernels with the one instruction that sets them apart in its AVX-512 encoding, so that
// machines without AVX-VNNI test them too. Compiled with avx2 flags, as the avxvnni table is.
#include "tests/engine/cpu/evex_kernels.hpp"
#include "engine/cpu/matmul_avxvnni.hpp"

namespace aorta::engine::cpu {
namespace {

struct EvexDot {
  static inline __attribute__((always_inline)) void add(__m256i& acc, __m256i codes, __m256i x) {
    asm("%{evex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(codes), "x"(x));
  }
};

}  // namespace

const Kernels& kernels_evex() {
  static const Kernels table = avx2::with_quad_sums<EvexDot>(kernels_avx2(), "evex");
  return table;
}

}  // namespace aorta::engine::cpu
