#include "engine/model/gguf_metadata.hpp"

#include <fmt/format.h>

#include <limits>

namespace aorta::engine {
namespace {

template <class T>
T load(const std::byte* data) {
  T value;
  std::memcpy(&value, data, sizeof(T));
  return value;
}

// A string as it lies in the file (length, bytes), and where the next begins.
std::string_view load_string(const std::byte*& data) {
  const auto length = load<std::uint64_t>(data);
  const std::string_view text(reinterpret_cast<const char*>(data + sizeof(length)), length);
  data += sizeof(length) + length;
  return text;
}

// Any integer type; nullopt for other types and for a u64 that an int64 cannot hold.
std::optional<std::int64_t> load_integer(GgufValueType type, const std::byte* data) {
  switch (type) {
    case GgufValueType::u8:
      return load<std::uint8_t>(data);
    case GgufValueType::i8:
      return load<std::int8_t>(data);
    case GgufValueType::u16:
      return load<std::uint16_t>(data);
    case GgufValueType::i16:
      return load<std::int16_t>(data);
    case GgufValueType::u32:
      return load<std::uint32_t>(data);
    case GgufValueType::i32:
      return load<std::int32_t>(data);
    case GgufValueType::i64:
      return load<std::int64_t>(data);
    case GgufValueType::u64: {
      const auto value = load<std::uint64_t>(data);
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return std::nullopt;
      }
      return static_cast<std::int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> load_float(GgufValueType type, const std::byte* data) {
  if (type == GgufValueType::f32) return load<float>(data);
  if (type == GgufValueType::f64) return load<double>(data);
  return std::nullopt;
}

std::string scalar_summary(GgufValueType type, const std::byte* data) {
  if (type == GgufValueType::u64) return fmt::format("{}", load<std::uint64_t>(data));
  if (const auto integer = load_integer(type, data)) return fmt::format("{}", *integer);
  if (const auto number = load_float(type, data)) return fmt::format("{}", *number);
  return load<std::uint8_t>(data) != 0 ? "true" : "false";
}

Result<void> check_bools(GgufReader& reader, std::string_view key,
                         std::span<const std::byte> values) {
  for (const std::byte value : values) {
    if (value > std::byte{1}) {
      return reader.corrupt(fmt::format("metadata \"{}\" holds {} where a bool must be 0 or 1",
                                        printable(key), static_cast<unsigned>(value)));
    }
  }
  return {};
}

}  // namespace

Result<GgufMetadata> GgufMetadata::parse(GgufReader& reader, std::uint64_t count) {
  // The smallest entry is an empty key, a type and one byte: refuses hostile counts before
  // anything is allocated for them.
  constexpr std::uint64_t smallest_entry_bytes = 8 + 4 + 1;
  if (count > reader.remaining() / smallest_entry_bytes) {
    return reader.corrupt(fmt::format("it claims {} metadata entries, more than its {} bytes hold",
                                      count, reader.remaining()));
  }
  GgufMetadata metadata;
  metadata.fields_.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const Result<Field> field = parse_field(reader);
    if (!field) return field.error();
    if (!metadata.index_.emplace(field->key, i).second) {
      return reader.corrupt(
          fmt::format("metadata key \"{}\" appears twice", printable(field->key)));
    }
    metadata.fields_.push_back(*field);
  }
  return metadata;
}

Result<GgufMetadata::Field> GgufMetadata::parse_field(GgufReader& reader) {
  const auto key = reader.read_string("a metadata key");
  if (!key) return key.error();
  const std::string what = fmt::format("metadata \"{}\"", printable(*key));
  if (key->empty() || key->size() > 65535) {
    return reader.corrupt(
        fmt::format("{} has a key of {} bytes; 1 to 65535 are allowed", what, key->size()));
  }
  auto type = reader.read<std::uint32_t>(what);
  if (!type) return type.error();
  Field field{.key = *key, .type = static_cast<GgufValueType>(*type)};
  if (field.type == GgufValueType::array) {
    const auto element = reader.read<std::uint32_t>(what);
    if (!element) return element.error();
    const auto count = reader.read<std::uint64_t>(what);
    if (!count) return count.error();
    field.is_array = true;
    field.type = static_cast<GgufValueType>(*element);
    field.count = *count;
    if (field.type == GgufValueType::array) {
      return reader.unsupported(what + " is an array of arrays, which no known model uses");
    }
  }
  if (gguf_value_type_name(field.type).empty()) {
    return reader.corrupt(fmt::format("{} has value type {}; known types are 0 to 12", what,
                                      static_cast<std::uint32_t>(field.type)));
  }
  if (const Result<void> value = parse_value(reader, field); !value) return value.error();
  return field;
}

// Checks that the value lies in the file and steps over it.
Result<void> GgufMetadata::parse_value(GgufReader& reader, Field& field) {
  const std::string what = fmt::format("metadata \"{}\"", printable(field.key));
  const std::uint64_t smallest_bytes =
      field.type == GgufValueType::string ? 8 : gguf_scalar_bytes(field.type);
  if (field.count > reader.remaining() / smallest_bytes) {
    return reader.corrupt(fmt::format("{} claims {} values of type {}, but only {} bytes are left",
                                      what, field.count, gguf_value_type_name(field.type),
                                      reader.remaining()));
  }
  if (field.type != GgufValueType::string) {
    const auto values = reader.read_bytes(field.count * smallest_bytes, what);
    if (!values) return values.error();
    field.data = values->data();
    return field.type == GgufValueType::boolean ? check_bools(reader, field.key, *values)
                                                : Result<void>();
  }
  field.data = reader.position();
  for (std::uint64_t i = 0; i < field.count; ++i) {
    if (const auto text = reader.read_string(what); !text) return text.error();
  }
  return {};
}

const GgufMetadata::Field* GgufMetadata::find(std::string_view key, bool is_array) const {
  const auto found = index_.find(key);
  if (found == index_.end() || fields_[found->second].is_array != is_array) return nullptr;
  return &fields_[found->second];
}

std::optional<std::uint64_t> GgufMetadata::get_uint(std::string_view key) const {
  const Field* field = find(key, false);
  if (!field) return std::nullopt;
  if (field->type == GgufValueType::u64) return load<std::uint64_t>(field->data);
  const auto value = load_integer(field->type, field->data);
  if (!value || *value < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*value);
}

std::optional<double> GgufMetadata::get_float(std::string_view key) const {
  const Field* field = find(key, false);
  return field ? load_float(field->type, field->data) : std::nullopt;
}

std::optional<bool> GgufMetadata::get_bool(std::string_view key) const {
  const Field* field = find(key, false);
  if (!field || field->type != GgufValueType::boolean) return std::nullopt;
  return load<std::uint8_t>(field->data) != 0;
}

std::optional<std::string_view> GgufMetadata::get_string(std::string_view key) const {
  const Field* field = find(key, false);
  if (!field || field->type != GgufValueType::string) return std::nullopt;
  const std::byte* data = field->data;
  return load_string(data);
}

std::optional<std::vector<std::string_view>> GgufMetadata::get_strings(std::string_view key) const {
  const Field* field = find(key, true);
  if (!field || field->type != GgufValueType::string) return std::nullopt;
  std::vector<std::string_view> strings;
  strings.reserve(field->count);
  const std::byte* data = field->data;
  for (std::uint64_t i = 0; i < field->count; ++i) strings.push_back(load_string(data));
  return strings;
}

std::optional<std::vector<std::int32_t>> GgufMetadata::get_ints(std::string_view key) const {
  const Field* field = find(key, true);
  if (!field) return std::nullopt;
  std::vector<std::int32_t> values;
  const std::uint32_t size = gguf_scalar_bytes(field->type);
  for (std::uint64_t i = 0; i < field->count; ++i) {
    const auto value = load_integer(field->type, field->data + i * size);
    if (!value || *value != static_cast<std::int32_t>(*value)) return std::nullopt;
    values.push_back(static_cast<std::int32_t>(*value));
  }
  return values;
}

std::optional<std::vector<float>> GgufMetadata::get_floats(std::string_view key) const {
  const Field* field = find(key, true);
  if (!field) return std::nullopt;
  std::vector<float> values;
  const std::uint32_t size = gguf_scalar_bytes(field->type);
  for (std::uint64_t i = 0; i < field->count; ++i) {
    const auto value = load_float(field->type, field->data + i * size);
    if (!value) return std::nullopt;
    values.push_back(static_cast<float>(*value));
  }
  return values;
}

std::vector<ModelSource::Entry> GgufMetadata::entries() const {
  constexpr std::uint64_t shown_elements = 4;
  std::vector<ModelSource::Entry> entries;
  for (const Field& field : fields_) {
    std::string summary;
    const std::byte* data = field.data;
    const std::uint32_t size = gguf_scalar_bytes(field.type);
    for (std::uint64_t i = 0; i < std::min(field.count, shown_elements); ++i) {
      if (i > 0) summary += ", ";
      if (field.type == GgufValueType::string) {
        summary += printable(load_string(data));
      } else {
        summary += scalar_summary(field.type, data + i * size);
      }
    }
    std::string type(gguf_value_type_name(field.type));
    if (field.is_array) {
      type = "array[" + type + "]";
      const char* more = field.count > shown_elements ? ", ..." : "";
      summary = fmt::format("[{}{}] ({} values)", summary, more, field.count);
    }
    entries.push_back({std::string(field.key), std::move(type), std::move(summary)});
  }
  return entries;
}

}  // namespace aorta::engine
