// What clients send, as a msgpack map and as JSON text: values within the limits, equal after they
// were written and read again in either form.
#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "mesh/client_codec.hpp"
#include "tests/fuzz/property.hpp"

namespace aorta::mesh {
namespace {

using fuzz::require;
using nlohmann::json;

constexpr ClientLimits limits{.depth = 6, .values = 60};  // small, so that inputs reach them

struct Extent {
  std::size_t depth = 0, values = 0;
};

Extent extent_of(const json& value) {
  Extent extent{0, 1};
  if (!value.is_structured()) return extent;
  for (const json& inner : value) {
    const Extent within = extent_of(inner);
    extent.depth = std::max(extent.depth, within.depth);
    extent.values += within.values;
  }
  ++extent.depth;
  return extent;
}

void check_round_trips(const json& value) {
  const Extent extent = extent_of(value);
  require(extent.depth <= limits.depth, "values nest no deeper than the limit");
  require(extent.values <= limits.values, "values are no more than the limit");
  const auto as_json = parse_client_json(value.dump(), limits);
  require(as_json.ok() && *as_json == value, "JSON text comes back as the same values");
  if (!value.is_object()) return;  // a body on ZeroMQ is a map
  const auto as_map = decode_client(encode_client(value), limits);
  require(as_map.ok() && *as_map == value, "a map comes back as the same values");
}

void check(std::string_view input) {
  for (const auto& value : {decode_client(input, limits), parse_client_json(input, limits)}) {
    require(value.ok() || !value.error().message.empty(), "a body is refused with a sentence");
    if (value) check_round_trips(*value);
  }
}

}  // namespace
}  // namespace aorta::mesh

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  aorta::mesh::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
