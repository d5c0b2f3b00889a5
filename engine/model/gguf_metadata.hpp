#pragma once
// The key-value section of a GGUF file: parsed once, values viewed in place.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "engine/model/gguf.hpp"
#include "engine/model/gguf_reader.hpp"
#include "engine/model/gguf_types.hpp"

namespace aorta::engine {

class GgufMetadata {
 public:
  // Reads `count` entries. Errors: corrupt, unsupported (arrays of arrays); named by key.
  static Result<GgufMetadata> parse(GgufReader& reader, std::uint64_t count);

  std::optional<std::uint64_t> get_uint(std::string_view key) const;
  std::optional<double> get_float(std::string_view key) const;
  std::optional<bool> get_bool(std::string_view key) const;
  std::optional<std::string_view> get_string(std::string_view key) const;
  std::optional<std::vector<std::string_view>> get_strings(std::string_view key) const;
  std::optional<std::vector<std::int32_t>> get_ints(std::string_view key) const;
  std::optional<std::vector<float>> get_floats(std::string_view key) const;
  std::vector<ModelSource::Entry> entries() const;

 private:
  struct Field {
    std::string_view key;
    GgufValueType type{};  // of the value, or of an array's elements
    bool is_array = false;
    std::uint64_t count = 1;          // elements
    const std::byte* data = nullptr;  // elements as in the file; strings with their lengths
  };

  static Result<Field> parse_field(GgufReader& reader);
  static Result<void> parse_value(GgufReader& reader, Field& field);
  const Field* find(std::string_view key, bool is_array) const;
  std::vector<Field> fields_;
  std::unordered_map<std::string_view, std::size_t> index_;
};

}  // namespace aorta::engine
