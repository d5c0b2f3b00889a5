#pragma once
// Where a model comes from, whatever its format: hyperparameters and tokenizer under GGUF's keys,
// tensors under GGUF's names. Formats with names of their own translate, so that an architecture is
// written once (safetensors/published_names.cpp has the table).
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

// Values by key; nullopt when absent or of another type. Integers of any width widen.
class ModelMetadata {
 public:
  virtual ~ModelMetadata() = default;

  virtual const std::string& path() const = 0;  // the file or directory, for messages
  virtual std::optional<std::uint64_t> get_uint(std::string_view key) const = 0;
  virtual std::optional<double> get_float(std::string_view key) const = 0;
  virtual std::optional<bool> get_bool(std::string_view key) const = 0;
  virtual std::optional<std::string_view> get_string(std::string_view key) const = 0;
  virtual std::optional<std::vector<std::string_view>> get_strings(std::string_view key) const = 0;
  virtual std::optional<std::vector<std::int32_t>> get_ints(std::string_view key) const = 0;
  virtual std::optional<std::vector<float>> get_floats(std::string_view key) const = 0;

  // What a key or a tensor is called in the user's own files, for messages.
  virtual std::string given_name(std::string_view name) const { return std::string(name); }
};

// A tensor's place in a mapped file. Dimensions as GGUF has them: dims[0] runs fastest (columns).
struct SourceTensor {
  std::string_view name;
  std::uint32_t type = 0;  // ggml_type; unknown_type when ggml has no number for it
  std::string_view type_name;
  std::vector<std::uint64_t> dims;
  std::span<const std::byte> data;

  static constexpr std::uint32_t unknown_type = ~0u;
};

class ModelSource : public ModelMetadata {
 public:
  // A GGUF file, or a directory with config.json and safetensors. Errors: not_found, io, corrupt,
  // unsupported, with a sentence.
  static Result<std::shared_ptr<const ModelSource>> open(const std::string& path);

  virtual const std::vector<SourceTensor>& tensors() const = 0;
  virtual const SourceTensor* find(std::string_view name) const = 0;

  // Whether the rows of q and k are as their authors published them, where rotary positions turn
  // the halves (i, i + size/2) of a head. llama's GGUF files have them reordered to pairs.
  virtual bool as_published() const = 0;
  // The files whose bytes make the model, in a fixed order.
  virtual std::vector<std::span<const std::byte>> contents() const = 0;

  struct Entry {
    std::string key;
    std::string type;     // "u32", "string", "array[string]" ...
    std::string summary;  // the value, arrays shortened
  };
  virtual std::vector<Entry> metadata() const = 0;
};

// The paths that ModelSource::open(path) reads for contents(), in the same order.
Result<std::vector<std::string>> source_files(const std::string& path);

}  // namespace aorta::engine
