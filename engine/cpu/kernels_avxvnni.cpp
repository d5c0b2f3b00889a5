// The avxvnni table: avx2's, but for the products that meet quantised weights. Compiled with avx2
// flags: nothing here may be inlined elsewhere.
#include "engine/cpu/kernels.hpp"
#include "engine/cpu/matmul_avxvnni.hpp"

namespace aorta::engine::cpu {

const Kernels& kernels_avxvnni() {
  static const Kernels table = avx2::with_quad_sums<avx2::VexDot>(kernels_avx2(), "avxvnni");
  return table;
}

}  // namespace aorta::engine::cpu
