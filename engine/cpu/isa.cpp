#include "engine/cpu/isa.hpp"

namespace aorta::engine::cpu {
namespace {

struct Isa {
  const char* name;
  const char* needs;
  bool (*present)();
  const Kernels& (*kernels)();
};

// __builtin_cpu_supports asks both the processor and, by XGETBV, the operating system.
const Isa isas[] = {
    {"avx512", "AVX-512 F, BW, VL and VNNI, F16C",
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") &&
              __builtin_cpu_supports("f16c") && __builtin_cpu_supports("fma");
     },
     kernels_avx512},
    {"avx2", "AVX2, FMA and F16C",
     [] {
       return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("f16c");
     },
     kernels_avx2},
    {"scalar", "nothing", [] { return true; }, kernels_scalar},
};

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Isa& isa : isas) {
    if (isa.present()) names.emplace_back(isa.name);
  }
  return names;
}

Result<const Kernels*> select_kernels(const std::string& name) {
  for (const Isa& isa : isas) {
    if (name != "auto" && name != isa.name) continue;
    if (isa.present()) return &isa.kernels();
    if (name == isa.name) {
      return Error{ErrorCode::unsupported, "instruction set '" + name + "' needs " + isa.needs +
                                               ", which this machine lacks; use auto"};
    }
  }
  return Error{ErrorCode::invalid_argument,
               "no instruction set '" + name + "': use auto, scalar, avx2 or avx512"};
}

}  // namespace aorta::engine::cpu
