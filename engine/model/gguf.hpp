#pragma once
// GGUF version 3 by mmap, validated whole at open: after that every view lies inside the file.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace aorta::engine {

// A tensor's place in the file. Dimensions as GGUF has them: dims[0] runs fastest (columns).
struct GgufTensor {
  std::string_view name;
  std::uint32_t type = 0;  // ggml_type
  std::vector<std::uint64_t> dims;
  std::span<const std::byte> data;
};

class GgufFile {
 public:
  // Errors: not_found, io, corrupt (truncated, lying sizes, hostile counts: says which), unsupported
  // (version other than 3, big endian).
  static Result<std::shared_ptr<const GgufFile>> open(const std::string& path);
  virtual ~GgufFile() = default;

  virtual const std::string& path() const = 0;
  virtual std::span<const std::byte> bytes() const = 0;  // the whole file
  // Metadata; nullopt when absent or of another type. Integers of any width widen.
  virtual std::optional<std::uint64_t> get_uint(std::string_view key) const = 0;
  virtual std::optional<double> get_float(std::string_view key) const = 0;
  virtual std::optional<bool> get_bool(std::string_view key) const = 0;
  virtual std::optional<std::string_view> get_string(std::string_view key) const = 0;
  virtual std::optional<std::vector<std::string_view>> get_strings(std::string_view key) const = 0;
  virtual std::optional<std::vector<std::int32_t>> get_ints(std::string_view key) const = 0;
  virtual std::optional<std::vector<float>> get_floats(std::string_view key) const = 0;

  struct Entry {
    std::string_view key;
    std::string type;     // "u32", "string", "array[string]" ...
    std::string summary;  // the value, arrays shortened
  };
  virtual std::vector<Entry> metadata() const = 0;
  virtual const std::vector<GgufTensor>& tensors() const = 0;
  virtual const GgufTensor* find(std::string_view name) const = 0;
};

}  // namespace aorta::engine
