// The scalar table. Compiled for plain x86-64: the reference the others must equal.
#include "engine/cpu/attention.hpp"
#include "engine/cpu/elementwise.hpp"
#include "engine/cpu/kernels.hpp"
#include "engine/cpu/lanes_scalar.hpp"
#include "engine/cpu/matmul_float.hpp"
#include "engine/cpu/matmul_scalar.hpp"
#include "engine/cpu/quantise.hpp"
#include "engine/cpu/rms_norm.hpp"

namespace aorta::engine::cpu {

const Kernels& kernels_scalar() {
  using scalar::Lanes;
  static constexpr Kernels table = {
      .name = "scalar",
      .panel_rows = max_panel_rows,
      .quantise = quantise<Lanes>,
      .matmul_q4_0 = scalar::matmul<scalar::Q4_0>,
      .matmul_q4_1 = scalar::matmul<scalar::Q4_1>,
      .matmul_q5_0 = scalar::matmul<scalar::Q5_0>,
      .matmul_q5_1 = scalar::matmul<scalar::Q5_1>,
      .matmul_q8_0 = scalar::matmul<scalar::Q8_0>,
      .matmul_q4_k = scalar::matmul<scalar::Q4_K>,
      .matmul_q5_k = scalar::matmul<scalar::Q5_K>,
      .matmul_q6_k = scalar::matmul<scalar::Q6_K>,
      .matmul_f16 = matmul_float<Lanes, std::uint16_t>,
      .matmul_bf16 = matmul_float<Lanes, BFloat16>,
      .matmul_f32 = matmul_float<Lanes, float>,
      .rms_norm = rms_norm<Lanes>,
      .silu_multiply = silu_multiply<Lanes>,
      .rope = rope<Lanes>,
      .store_kv = store_kv<Lanes>,
      .attend = attend<Lanes>,
      .merge_tiles = merge_tiles<Lanes>,
  };
  return table;
}

}  // namespace aorta::engine::cpu
