#pragma once
// JSON from files that anybody may have written.
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace aorta::engine {

// An object of at most `limit_bytes` of text. Errors: corrupt (not JSON, not an object, nested more
// than 16 deep, a key twice among the first two levels' keys), resource_exhausted (too long).
Result<nlohmann::json> parse_json_object(std::string_view text, const std::string& path,
                                         std::size_t limit_bytes);

// The same of a file. Errors besides: not_found, io.
Result<nlohmann::json> read_json_object(const std::string& path, std::size_t limit_bytes);

// The member `key` of an object; nullptr when it is absent or null.
const nlohmann::json* member(const nlohmann::json& object, std::string_view key);

}  // namespace aorta::engine
