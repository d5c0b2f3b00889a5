#pragma once
// AVX-VNNI's kernels for a machine that has AVX-512 VNNI and VL instead.
#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu {

const Kernels& kernels_evex();

}  // namespace aorta::engine::cpu
