#include "engine/cpu/isa.hpp"

#include <cpuid.h>

namespace aorta::engine::cpu {
namespace {

struct Isa {
  const char* name;
  const char* needs;
  bool (*present)();
  const Kernels& (*kernels)();
};

// __builtin_cpu_supports asks both the processor and, by XGETBV, the operating system.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}

// Leaf 7, subleaf 1, EAX bit 4. The registers are AVX2's, so the system's side is known.
bool has_avxvnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax >> 4 & 1) != 0;
}

const Isa isas[] = {
    {"avx512", "AVX-512 F, BW, VL and VNNI, F16C",
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") &&
              __builtin_cpu_supports("f16c") && __builtin_cpu_supports("fma");
     },
     kernels_avx512},
    {"avxvnni", "AVX2, FMA, F16C and AVX-VNNI", [] { return has_avx2() && has_avxvnni(); },
     kernels_avxvnni},
    {"avx2", "AVX2, FMA and F16C", has_avx2, kernels_avx2},
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
               "no instruction set '" + name + "': use auto, scalar, avx2, avxvnni or avx512"};
}

}  // namespace aorta::engine::cpu
