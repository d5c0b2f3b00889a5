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
      .matmul_q4_0 = scalar::matmul_q4_0,
      .matmul_q4_1 = scalar::matmul_q4_1,
      .matmul_q8_0 = scalar::matmul_q8_0,
      .matmul_f16 = matmul_float<Lanes, std::uint16_t>,
      .matmul_f32 = matmul_float<Lanes, float>,
      .rms_norm = rms_norm<Lanes>,
      .silu_multiply = silu_multiply<Lanes>,
      .add = add<Lanes>,
      .rope = rope<Lanes>,
      .store_kv = store_kv<Lanes>,
      .attend = attend<Lanes>,
  };
  return table;
}

}  // namespace aorta::engine::cpu
