#include "engine/model/gguf_reader.hpp"

#include <fmt/format.h>

namespace aorta::engine {

std::string printable(std::string_view bytes, std::size_t limit) {
  std::string out;
  for (const unsigned char c : bytes.substr(0, limit)) {
    if (c >= 0x20 && c < 0x7f) {
      out += static_cast<char>(c);
    } else {
      out += fmt::format("\\x{:02x}", c);
    }
  }
  if (bytes.size() > limit) out += "...";
  return out;
}

Result<std::string_view> GgufReader::read_string(std::string_view what) {
  const Result<std::uint64_t> length = read<std::uint64_t>(what);
  if (!length) return length.error();
  const auto bytes = read_bytes(*length, what);
  if (!bytes) return bytes.error();
  return std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

Result<std::span<const std::byte>> GgufReader::read_bytes(std::uint64_t size,
                                                          std::string_view what) {
  if (size > remaining()) {
    return corrupt(fmt::format("{} claims {} bytes at offset {}, but only {} are left in the file",
                               what, size, offset_, remaining()));
  }
  const auto view = bytes_.subspan(offset_, size);
  offset_ += size;
  return view;
}

Error GgufReader::corrupt(std::string_view sentence) const {
  return {ErrorCode::corrupt, fmt::format("{} is not a valid GGUF file: {}", path_, sentence)};
}

Error GgufReader::unsupported(std::string_view sentence) const {
  return {ErrorCode::unsupported, fmt::format("{} cannot be used: {}", path_, sentence)};
}

Error GgufReader::truncated(std::string_view what) const {
  return corrupt(fmt::format("it ends inside {} (at byte {}); is it a partial download?", what,
                             bytes_.size()));
}

}  // namespace aorta::engine
