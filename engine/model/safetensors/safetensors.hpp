#pragma once
// One safetensors file, validated whole: after that every view lies inside it.
//   file   = u64 n, little-endian; n bytes of JSON; data
//   JSON   = {"__metadata__": {...}, NAME: {"dtype", "shape", "data_offsets": [begin, end]}, ...}
// Offsets count from the end of the JSON; the tensors cover the data without gap or overlap.
// Format: https://huggingface.co/docs/safetensors
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace aorta::engine {

struct SafetensorsTensor {
  std::string name;
  std::string dtype;                 // "BF16", "F32" ...
  std::vector<std::uint64_t> shape;  // the last runs fastest
  std::span<const std::byte> data;
};

// `path` names the bytes in errors. Errors: corrupt (truncated, lying sizes, overlaps: says which),
// unsupported (a dtype that the format does not have), resource_exhausted (an absurd header).
Result<std::vector<SafetensorsTensor>> parse_safetensors(std::span<const std::byte> bytes,
                                                         const std::string& path);

}  // namespace aorta::engine
