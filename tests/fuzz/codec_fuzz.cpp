// Messages between services: two bytes of type, then the body. What is taken can be written, and
// what was written is read as the same message.
#include <cstdint>
#include <string_view>

#include "mesh/codec.hpp"
#include "tests/fuzz/property.hpp"

namespace aorta::mesh {
namespace {

using fuzz::require;

void check(std::string_view input) {
  const std::string_view type = input.substr(0, 2);
  const auto message = decode(type, input.substr(type.size()));
  if (!message) {
    require(!message.error().message.empty(), "a message is refused with a sentence");
    return;
  }
  const std::string body = encode_body(*message);
  require(encode_type(*message) == type, "a message keeps its type");
  const auto again = decode(type, body);
  require(again.ok(), "what was written can be read");
  require(encode_body(*again) == body, "decode after encode is the same message");
}

}  // namespace
}  // namespace aorta::mesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  aorta::mesh::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
