#pragma once
// What goes into a model's pack. An architecture reads and checks a GGUF file's metadata and
// tensors, and answers with this list; the packer knows nothing else of the model.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "engine/model/gguf.hpp"
#include "engine/model/pack_format.hpp"

namespace aorta::engine {

struct PackItem {
  std::string name;
  PackKind kind = PackKind::bytes;
  std::uint32_t type = 0;  // of a weight: WeightType
  std::uint32_t rows = 0, columns = 0;
  std::span<const std::byte> rows_of_gguf;  // of a weight: GGUF's blocks, row by row
  std::vector<std::byte> content;           // of the other kinds
};

// Errors: unsupported (architecture, tensor type, a feature: named, with what is supported),
// corrupt (tensors that are missing or do not fit the metadata).
Result<std::vector<PackItem>> plan_pack(const GgufFile& file);

}  // namespace aorta::engine
