#pragma once
// A cursor over untrusted bytes: every read is checked, and a failed one says what was missing.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace aorta::engine {

// Names and keys from a file for error messages and terminals: control and non-ASCII bytes as \xNN,
// long ones shortened.
std::string printable(std::string_view bytes, std::size_t limit = 80);

class GgufReader {
 public:
  GgufReader(std::span<const std::byte> bytes, const std::string& path)
      : bytes_(bytes), path_(path) {}

  std::size_t offset() const { return offset_; }
  const std::byte* position() const { return bytes_.data() + offset_; }
  std::size_t remaining() const { return bytes_.size() - offset_; }

  // A little-endian number; `what` completes "the file ends inside ...".
  template <class T>
  Result<T> read(std::string_view what) {
    if (remaining() < sizeof(T)) return truncated(what);
    T value;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return value;
  }
  // A u64 length and that many bytes, viewed in place.
  Result<std::string_view> read_string(std::string_view what);
  Result<std::span<const std::byte>> read_bytes(std::uint64_t size, std::string_view what);

  Error corrupt(std::string_view sentence) const;
  Error unsupported(std::string_view sentence) const;

 private:
  Error truncated(std::string_view what) const;

  std::span<const std::byte> bytes_;
  const std::string& path_;
  std::size_t offset_ = 0;
};

}  // namespace aorta::engine
