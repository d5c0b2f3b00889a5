#pragma once
// What clients say and hear, as JSON values: a msgpack map with string keys on ZeroMQ, JSON text
// on HTTP. Both come out as the same values, so one parser reads the fields of a request.
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace aorta::mesh {

struct ClientLimits {
  std::size_t depth = 32;           // of maps and arrays within each other
  std::size_t values = 512 * 1024;  // in all: a prompt of 256k ids fits twice
};

// An error is a sentence for the client: not a map, too deep, too many values, binary or extension
// values, keys that are no strings, text that is not UTF-8, numbers that are not finite, cut off.
Result<nlohmann::json> decode_client(std::string_view msgpack_body, const ClientLimits& = {});
std::string encode_client(const nlohmann::json& map);

// The same for JSON text, with the same limits.
Result<nlohmann::json> parse_client_json(std::string_view text, const ClientLimits& = {});

bool is_utf8(std::string_view text);

}  // namespace aorta::mesh
