// A safetensors file from anywhere: it is refused with a sentence, or its tensors cover its data,
// each byte once.
#include <cstring>
#include <span>
#include <string>

#include "engine/model/safetensors/published_names.hpp"
#include "engine/model/safetensors/safetensors.hpp"
#include "tests/fuzz/property.hpp"

namespace aorta::engine {
namespace {

using fuzz::require;

void check(std::span<const std::byte> bytes) {
  const auto tensors = parse_safetensors(bytes, "model.safetensors");
  require(fuzz::says_why(tensors), "a file is refused with a sentence");
  if (!tensors) return;
  const std::byte* const end = bytes.data() + bytes.size();
  std::size_t covered = 0;
  for (const SafetensorsTensor& tensor : *tensors) {
    covered += tensor.data.size();
    require(bytes.data() + 8 < tensor.data.data() && tensor.data.data() + tensor.data.size() <= end,
            "a tensor lies inside the file");
    if (const auto name = gguf_name_of(tensor.name)) {
      require(published_name_of(*name) == tensor.name, "a name is translated both ways");
    }
  }
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof(header));
  require(sizeof(header) + header + covered == bytes.size(), "each byte is of one tensor");
}

}  // namespace
}  // namespace aorta::engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  aorta::engine::check(std::as_bytes(std::span(data, size)));
  return 0;
}
