#include "engine/model/safetensors/safetensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "engine/model/gguf_reader.hpp"
#include "engine/model/safetensors/json_text.hpp"

namespace aorta::engine {
namespace {

using nlohmann::json;

constexpr std::size_t largest_header_bytes = 32 << 20;
constexpr std::size_t most_dimensions = 8;

std::optional<std::uint64_t> bytes_of_element(std::string_view dtype) {
  static constexpr struct {
    std::string_view name;
    std::uint64_t bytes;
  } known[] = {{"F64", 8},     {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"F8_E4M3", 1},
               {"F8_E5M2", 1}, {"I64", 8}, {"I32", 4}, {"I16", 2},  {"I8", 1},
               {"U64", 8},     {"U32", 4}, {"U16", 2}, {"U8", 1},   {"BOOL", 1}};
  for (const auto& type : known) {
    if (type.name == dtype) return type.bytes;
  }
  return std::nullopt;
}

class HeaderReader {
 public:
  HeaderReader(std::span<const std::byte> data, const std::string& path)
      : data_(data), path_(path) {}

  Result<std::vector<SafetensorsTensor>> read(const json& header) {
    std::vector<SafetensorsTensor> tensors;
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") continue;
      auto tensor = read_tensor(name, entry);
      if (!tensor) return tensor.error();
      tensors.push_back(std::move(*tensor));
    }
    if (auto covered = check_cover(tensors); !covered) return covered.error();
    return tensors;
  }

 private:
  Error refuse(const std::string& sentence) const {
    return Error{ErrorCode::corrupt, path_ + ": " + sentence};
  }

  // A list of unsigned numbers; nullopt when it is anything else.
  static std::optional<std::vector<std::uint64_t>> numbers(const json* list, std::size_t most) {
    if (list == nullptr || !list->is_array() || list->size() > most) return std::nullopt;
    std::vector<std::uint64_t> values;
    for (const json& value : *list) {
      if (!value.is_number_unsigned()) return std::nullopt;
      values.push_back(value.get<std::uint64_t>());
    }
    return values;
  }

  Result<SafetensorsTensor> read_tensor(const std::string& name, const json& entry) const {
    const std::string what = fmt::format("tensor \"{}\"", printable(name));
    const json* dtype = member(entry, "dtype");
    if (dtype == nullptr || !dtype->is_string()) return refuse(what + " has no dtype");
    SafetensorsTensor tensor;
    tensor.name = name;
    tensor.dtype = dtype->get<std::string>();
    const auto element_bytes = bytes_of_element(tensor.dtype);
    if (!element_bytes) {
      return Error{ErrorCode::unsupported, fmt::format("{}: {} has the unknown dtype \"{}\"", path_,
                                                       what, printable(tensor.dtype))};
    }
    const auto shape = numbers(member(entry, "shape"), most_dimensions);
    if (!shape) {
      return refuse(fmt::format("{} has no shape of up to {} dimensions", what, most_dimensions));
    }
    std::uint64_t size = *element_bytes;
    for (const std::uint64_t n : *shape) {
      if (__builtin_mul_overflow(size, n, &size)) {
        return refuse(what + " has a shape whose size overflows 64 bits");
      }
    }
    tensor.shape = *shape;
    const auto offsets = numbers(member(entry, "data_offsets"), 2);
    if (!offsets || offsets->size() != 2)
      return refuse(what + " has no data_offsets of two numbers");
    const std::uint64_t begin = (*offsets)[0], end = (*offsets)[1];
    if (begin > end || end > data_.size()) {
      return refuse(
          fmt::format("{} lies at {} to {} of the data, which has {} bytes; is it a "
                      "partial download?",
                      what, begin, end, data_.size()));
    }
    if (end - begin != size) {
      return refuse(fmt::format("{} has {} bytes, its shape and dtype {} need {}", what,
                                end - begin, tensor.dtype, size));
    }
    tensor.data = data_.subspan(begin, size);
    return tensor;
  }

  // Fails when two tensors share a byte, or a byte belongs to none.
  Result<void> check_cover(const std::vector<SafetensorsTensor>& tensors) const {
    std::vector<const SafetensorsTensor*> order;
    for (const SafetensorsTensor& tensor : tensors) order.push_back(&tensor);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
      return std::pair(a->data.data(), a->data.size()) < std::pair(b->data.data(), b->data.size());
    });
    std::size_t covered = 0;
    for (const SafetensorsTensor* tensor : order) {
      const auto begin = static_cast<std::size_t>(tensor->data.data() - data_.data());
      if (begin != covered) {
        return refuse(
            fmt::format("tensor \"{}\" begins at {} of the data, where {} comes next: it "
                        "{}",
                        printable(tensor->name), begin, covered,
                        begin < covered ? "overlaps another" : "leaves a gap"));
      }
      covered += tensor->data.size();
    }
    if (covered == data_.size()) return {};
    return refuse(fmt::format("{} bytes at its end belong to no tensor", data_.size() - covered));
  }

  const std::span<const std::byte> data_;
  const std::string& path_;
};

}  // namespace

Result<std::vector<SafetensorsTensor>> parse_safetensors(std::span<const std::byte> bytes,
                                                         const std::string& path) {
  std::uint64_t header_bytes = 0;
  if (bytes.size() < sizeof(header_bytes)) {
    return Error{ErrorCode::corrupt, path + ": it is shorter than a safetensors header"};
  }
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
  const auto rest = bytes.subspan(sizeof(header_bytes));
  if (header_bytes > rest.size()) {
    return Error{ErrorCode::corrupt,
                 fmt::format("{}: its header claims {} bytes, {} are there; is it a safetensors "
                             "file, or a partial download?",
                             path, header_bytes, rest.size())};
  }
  const std::string_view text(reinterpret_cast<const char*>(rest.data()), header_bytes);
  auto header = parse_json_object(text, path, largest_header_bytes);
  if (!header) return header.error();
  return HeaderReader(rest.subspan(header_bytes), path).read(*header);
}

}  // namespace aorta::engine
