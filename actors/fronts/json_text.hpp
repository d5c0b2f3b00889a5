#pragma once
// JSON from a stranger: text to a value, within limits and without surprises.
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace aorta::fronts {

struct JsonLimits {
  std::size_t depth = 64;           // objects and arrays within each other
  std::size_t values = 512 * 1024;  // of any kind: a parsed value is far larger than its text
};

// Refuses, with where and why: what is not JSON (RFC 8259), anything after it, invalid UTF-8, lone
// surrogates, numbers beyond a double, a name twice in an object, and what exceeds the limits.
// Uses no stack in proportion to the input, neither here nor when the value is destroyed.
Result<nlohmann::json> parse_json(std::string_view text, const JsonLimits& limits = {});

// Compact text of a value. Bytes that are not UTF-8 become U+FFFD, never an exception.
std::string dump_json(const nlohmann::json& value);
std::string dump_json(const nlohmann::ordered_json& value);

// The text itself, with U+FFFD in place of bytes that are not UTF-8.
std::string valid_text(std::string_view bytes);

}  // namespace aorta::fronts
