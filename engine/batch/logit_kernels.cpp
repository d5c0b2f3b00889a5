#include "engine/batch/logit_kernels.hpp"

#include <vector>

namespace aorta::engine {

std::span<const LogitKernels* const> available_logit_kernels() {
  static const std::vector<const LogitKernels*> kernels = [] {
    std::vector<const LogitKernels*> found;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) {
      found.push_back(&logit_kernels_avx512());
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      found.push_back(&logit_kernels_avx2());
    }
    found.push_back(&logit_kernels_scalar());
    return found;
  }();
  return kernels;
}

}  // namespace aorta::engine
