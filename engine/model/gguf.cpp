// The file format: header, metadata entries, tensor entries, padding, tensor data.
//   header: "GGUF", u32 version, u64 tensors, u64 metadata entries
//   metadata entry: string key, u32 type, value      (string: u64 length, bytes)
//   tensor entry: string name, u32 dimensions, u64 each, u32 ggml_type, u64 offset into the data
#include "engine/model/gguf.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <unordered_map>

#include "engine/model/gguf_metadata.hpp"
#include "engine/model/gguf_parse.hpp"
#include "engine/model/gguf_reader.hpp"
#include "engine/model/gguf_types.hpp"
#include "engine/model/mapped_file.hpp"

namespace aorta::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "views are little-endian, as GGUF is");

constexpr std::uint64_t default_alignment = 32;
constexpr std::uint32_t most_dimensions = 4;  // ggml's GGML_MAX_DIMS

// A tensor entry as the file states it, before its data is known to exist.
struct TensorEntry {
  GgufTensor tensor;
  std::uint64_t offset = 0;  // into the data section
  std::uint64_t size_bytes = 0;
  std::string what;  // for error messages
};

class ParsedGguf final : public GgufFile {
 public:
  ParsedGguf(std::span<const std::byte> bytes, std::string path, std::shared_ptr<const void> owner)
      : bytes_(bytes), path_(std::move(path)), owner_(std::move(owner)) {}

  Result<void> parse();

  const std::string& path() const override { return path_; }
  std::span<const std::byte> bytes() const override { return bytes_; }
  std::optional<std::uint64_t> get_uint(std::string_view key) const override {
    return metadata_.get_uint(key);
  }
  std::optional<double> get_float(std::string_view key) const override {
    return metadata_.get_float(key);
  }
  std::optional<bool> get_bool(std::string_view key) const override {
    return metadata_.get_bool(key);
  }
  std::optional<std::string_view> get_string(std::string_view key) const override {
    return metadata_.get_string(key);
  }
  std::optional<std::vector<std::string_view>> get_strings(std::string_view key) const override {
    return metadata_.get_strings(key);
  }
  std::optional<std::vector<std::int32_t>> get_ints(std::string_view key) const override {
    return metadata_.get_ints(key);
  }
  std::optional<std::vector<float>> get_floats(std::string_view key) const override {
    return metadata_.get_floats(key);
  }
  std::vector<Entry> metadata() const override { return metadata_.entries(); }
  const std::vector<GgufTensor>& tensors() const override { return tensors_; }
  const GgufTensor* find(std::string_view name) const override {
    const auto found = index_.find(name);
    return found == index_.end() ? nullptr : &tensors_[found->second];
  }

 private:
  Result<void> parse_tensors(GgufReader& reader, std::uint64_t count);
  Result<void> place_tensors(GgufReader& reader, std::vector<TensorEntry> entries);

  std::span<const std::byte> bytes_;
  std::string path_;
  std::shared_ptr<const void> owner_;
  GgufMetadata metadata_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string_view, std::size_t> index_;
};

Result<void> ParsedGguf::parse() {
  GgufReader reader(bytes_, path_);
  const auto magic = reader.read_bytes(std::min<std::size_t>(4, bytes_.size()), "the magic");
  if (!magic) return magic.error();
  if (magic->size() < 4 || std::memcmp(magic->data(), "GGUF", 4) != 0) {
    return reader.corrupt("it does not begin with the letters GGUF");
  }
  const auto version = reader.read<std::uint32_t>("the header");
  if (!version) return version.error();
  if (*version == 0x03000000) return reader.unsupported("it is a big-endian GGUF file");
  if (*version != 3) {
    return reader.unsupported(
        fmt::format("it is GGUF version {}; this build reads version 3", *version));
  }
  const auto tensor_count = reader.read<std::uint64_t>("the header");
  if (!tensor_count) return tensor_count.error();
  const auto entry_count = reader.read<std::uint64_t>("the header");
  if (!entry_count) return entry_count.error();
  auto metadata = GgufMetadata::parse(reader, *entry_count);
  if (!metadata) return metadata.error();
  metadata_ = std::move(*metadata);
  return parse_tensors(reader, *tensor_count);
}

// The size of a tensor's data from its dimensions and type; corrupt or unsupported if there is
// none.
Result<std::uint64_t> tensor_bytes(const GgufReader& reader, const TensorEntry& entry) {
  const GgufTensor& tensor = entry.tensor;
  const GgmlTypeTraits* traits = ggml_type_traits(tensor.type);
  if (!traits) {
    return reader.unsupported(
        fmt::format("{} has the unknown ggml type {}", entry.what, tensor.type));
  }
  std::uint64_t elements = 1;
  for (const std::uint64_t dim : tensor.dims) {
    if (dim == 0) return reader.corrupt(entry.what + " has a dimension of 0");
    if (__builtin_mul_overflow(elements, dim, &elements)) {
      return reader.corrupt(entry.what + " has dimensions whose product overflows 64 bits");
    }
  }
  if (tensor.dims[0] % traits->block_elements != 0) {
    return reader.corrupt(
        fmt::format("{} has rows of {} elements, not a multiple of the {} in a "
                    "block of {}",
                    entry.what, tensor.dims[0], traits->block_elements, traits->name));
  }
  std::uint64_t size = 0;
  if (__builtin_mul_overflow(elements / traits->block_elements, traits->block_bytes, &size)) {
    return reader.corrupt(entry.what + " has a size that overflows 64 bits");
  }
  return size;
}

Result<TensorEntry> parse_tensor(GgufReader& reader) {
  TensorEntry entry;
  const auto name = reader.read_string("a tensor's name");
  if (!name) return name.error();
  entry.tensor.name = *name;
  entry.what = fmt::format("tensor \"{}\"", printable(*name));
  const auto dimensions = reader.read<std::uint32_t>(entry.what);
  if (!dimensions) return dimensions.error();
  if (*dimensions == 0 || *dimensions > most_dimensions) {
    return reader.corrupt(fmt::format("{} has {} dimensions; 1 to {} are allowed", entry.what,
                                      *dimensions, most_dimensions));
  }
  for (std::uint32_t i = 0; i < *dimensions; ++i) {
    const auto dim = reader.read<std::uint64_t>(entry.what);
    if (!dim) return dim.error();
    entry.tensor.dims.push_back(*dim);
  }
  const auto type = reader.read<std::uint32_t>(entry.what);
  if (!type) return type.error();
  entry.tensor.type = *type;
  if (const auto* traits = ggml_type_traits(*type)) entry.tensor.type_name = traits->name;
  const auto offset = reader.read<std::uint64_t>(entry.what);
  if (!offset) return offset.error();
  entry.offset = *offset;
  const auto size = tensor_bytes(reader, entry);
  if (!size) return size.error();
  entry.size_bytes = *size;
  return entry;
}

Result<void> ParsedGguf::parse_tensors(GgufReader& reader, std::uint64_t count) {
  // An empty name, one dimension, type and offset.
  constexpr std::uint64_t smallest_entry_bytes = 8 + 4 + 8 + 4 + 8;
  if (count > reader.remaining() / smallest_entry_bytes) {
    return reader.corrupt(fmt::format("it claims {} tensors, more than the {} bytes left describe",
                                      count, reader.remaining()));
  }
  std::vector<TensorEntry> entries;
  entries.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    auto entry = parse_tensor(reader);
    if (!entry) return entry.error();
    if (!index_.emplace(entry->tensor.name, i).second) {
      return reader.corrupt(entry->what + " appears twice");
    }
    entries.push_back(std::move(*entry));
  }
  return place_tensors(reader, std::move(entries));
}

// Fails when two tensors share a byte: one of them would be read as the other.
Result<void> check_overlap(const GgufReader& reader, const std::vector<TensorEntry>& entries) {
  std::vector<const TensorEntry*> by_offset;
  for (const TensorEntry& entry : entries) by_offset.push_back(&entry);
  std::sort(by_offset.begin(), by_offset.end(),
            [](const auto* a, const auto* b) { return a->offset < b->offset; });
  for (std::size_t i = 1; i < by_offset.size(); ++i) {
    const TensorEntry& before = *by_offset[i - 1];
    if (before.offset + before.size_bytes > by_offset[i]->offset) {
      return reader.corrupt(
          fmt::format("the data of {} and {} overlap", before.what, by_offset[i]->what));
    }
  }
  return {};
}

Result<void> ParsedGguf::place_tensors(GgufReader& reader, std::vector<TensorEntry> entries) {
  std::uint64_t alignment = default_alignment;
  if (const auto stated = get_uint("general.alignment")) alignment = *stated;
  if (alignment < 8 || alignment > (1u << 20) || !std::has_single_bit(alignment)) {
    return reader.corrupt(fmt::format(
        "general.alignment is {}; a power of two from 8 to 1048576 is allowed", alignment));
  }
  const std::uint64_t start = (reader.offset() + alignment - 1) / alignment * alignment;
  const std::uint64_t data_bytes = start < bytes_.size() ? bytes_.size() - start : 0;
  for (TensorEntry& entry : entries) {
    if (entry.offset % alignment != 0) {
      return reader.corrupt(fmt::format("{} begins at offset {}, which is not aligned to {}",
                                        entry.what, entry.offset, alignment));
    }
    if (entry.size_bytes > data_bytes || entry.offset > data_bytes - entry.size_bytes) {
      return reader.corrupt(
          fmt::format("{} needs {} bytes at offset {} of the data, which has only {}; is it a "
                      "partial download?",
                      entry.what, entry.size_bytes, entry.offset, data_bytes));
    }
    entry.tensor.data = bytes_.subspan(start + entry.offset, entry.size_bytes);
  }
  if (const Result<void> apart = check_overlap(reader, entries); !apart) return apart;
  for (TensorEntry& entry : entries) tensors_.push_back(std::move(entry.tensor));
  return {};
}

}  // namespace

Result<std::shared_ptr<const GgufFile>> parse_gguf(std::span<const std::byte> bytes,
                                                   const std::string& path,
                                                   std::shared_ptr<const void> owner) {
  const auto file = std::make_shared<ParsedGguf>(bytes, path, std::move(owner));
  if (const Result<void> parsed = file->parse(); !parsed) return parsed.error();
  return std::shared_ptr<const GgufFile>(file);
}

Result<std::shared_ptr<const GgufFile>> GgufFile::open(const std::string& path) {
  const auto file = MappedFile::open(path);
  if (!file) return file.error();
  return parse_gguf((*file)->bytes(), path, *file);
}

}  // namespace aorta::engine
