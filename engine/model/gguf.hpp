#pragma once
// GGUF version 3 by mmap, validated whole at open: after that every view lies inside the file.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#include <memory>
#include <span>
#include <string>

#include "base/result.hpp"
#include "engine/model/model_source.hpp"

namespace aorta::engine {

using GgufTensor = SourceTensor;

class GgufFile : public ModelSource {
 public:
  // Errors: not_found, io, corrupt (truncated, lying sizes, hostile counts: says which),
  // unsupported (version other than 3, big endian).
  static Result<std::shared_ptr<const GgufFile>> open(const std::string& path);

  virtual std::span<const std::byte> bytes() const = 0;  // the whole file
  std::vector<std::span<const std::byte>> contents() const override { return {bytes()}; }
  // Only llama's converter reorders q and k.
  bool as_published() const override { return get_string("general.architecture") != "llama"; }
};

}  // namespace aorta::engine
