#pragma once
// Which instruction sets this machine has, and the kernels of the one asked for.
#include <string>
#include <vector>

#include "base/result.hpp"
#include "engine/cpu/kernels.hpp"

namespace aorta::engine::cpu {

// Best first; "scalar" is always last.
std::vector<std::string> available_isas();

// isa: auto (the best here) | scalar | avx2 | avxvnni | avx512. Errors: unsupported (this machine
// lacks it), invalid_argument (no such name).
Result<const Kernels*> select_kernels(const std::string& isa);

}  // namespace aorta::engine::cpu
