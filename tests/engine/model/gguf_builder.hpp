#pragma once
// Writes GGUF files in memory, right or deliberately wrong, for tests.
#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace aorta::engine {

class GgufBuilder {
 public:
  template <class T>
  static std::string number(T value) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }
  static std::string string(const std::string& text) {
    return number<std::uint64_t>(text.size()) + text;
  }

  // A metadata entry from its type number and the bytes of its value.
  GgufBuilder& raw(const std::string& key, std::uint32_t type, const std::string& value) {
    metadata_ += string(key) + number(type) + value;
    ++metadata_count;
    return *this;
  }
  GgufBuilder& text(const std::string& key, const std::string& value) {
    return raw(key, 8, string(value));
  }
  GgufBuilder& u32(const std::string& key, std::uint32_t value) {
    return raw(key, 4, number(value));
  }
  GgufBuilder& texts(const std::string& key, const std::vector<std::string>& values) {
    std::string bytes = number<std::uint32_t>(8) + number<std::uint64_t>(values.size());
    for (const std::string& value : values) bytes += string(value);
    return raw(key, 9, bytes);
  }
  GgufBuilder& i32s(const std::string& key, const std::vector<std::int32_t>& values) {
    std::string bytes = number<std::uint32_t>(5) + number<std::uint64_t>(values.size());
    for (const std::int32_t value : values) bytes += number(value);
    return raw(key, 9, bytes);
  }
  GgufBuilder& tensor(const std::string& name, const std::vector<std::uint64_t>& dims,
                      std::uint32_t type, std::uint64_t offset) {
    tensors_ += string(name) + number(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t dim : dims) tensors_ += number(dim);
    tensors_ += number(type) + number(offset);
    ++tensor_count;
    return *this;
  }
  GgufBuilder& data(std::size_t bytes) {
    data_bytes_ = bytes;
    return *this;
  }

  std::string build() const {
    std::string file = magic + number(version) + number(tensor_count) + number(metadata_count) +
                       metadata_ + tensors_;
    if (data_bytes_ > 0) {
      file.resize((file.size() + 31) / 32 * 32);
      for (std::size_t i = 0; i < data_bytes_; ++i) file += static_cast<char>(i);
    }
    return file;
  }

  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::uint64_t tensor_count = 0, metadata_count = 0;  // what the header claims

 private:
  std::string metadata_, tensors_;
  std::size_t data_bytes_ = 0;
};

}  // namespace aorta::engine
