#pragma once
// What goes into a model's pack. An architecture reads and checks a source's metadata and tensors,
// and answers with this list; the packer knows nothing else of the model.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "engine/model/model_source.hpp"
#include "engine/model/pack_format.hpp"

namespace aorta::engine {

struct PackItem {
  std::string name;
  PackKind kind = PackKind::bytes;
  std::uint32_t type = 0;  // of a weight: WeightType
  std::uint32_t rows = 0, columns = 0;
  std::span<const std::byte> source_rows;  // of a weight: the source's blocks, row by row
  // Of q and k: the head size when a head's rows are halves whose rows i and i + size/2 are rotated
  // together, which the kernels want beside each other; 0: packed in the source's order.
  std::uint32_t halves = 0;
  std::vector<std::byte> content;               // of the other kinds, unless it is large:
  std::function<std::vector<float>()> compute;  // then its floats, when they are written
};

// The source's row for a packed one: 2i is i and 2i + 1 is i + size/2 of its head.
constexpr std::uint32_t source_row(std::uint32_t row, std::uint32_t halves) {
  if (halves == 0) return row;
  const std::uint32_t in_head = row % halves;
  return row - in_head + in_head / 2 + (in_head % 2) * (halves / 2);
}

// Errors: unsupported (architecture, tensor type, a feature: named, with what is supported),
// corrupt (tensors that are missing or do not fit the metadata).
Result<std::vector<PackItem>> plan_pack(const ModelSource& source);

}  // namespace aorta::engine
