#include "mesh/client_codec.hpp"

#include <fmt/format.h>

#include <cmath>
#include <msgpack.hpp>
#include <nlohmann/json.hpp>
#include <vector>

namespace aorta::mesh {
namespace {

using nlohmann::json;

Error invalid(std::string why) { return {ErrorCode::invalid_argument, std::move(why)}; }

std::string too_deep(const ClientLimits& limits) {
  return fmt::format("the body nests maps and arrays more than {} deep", limits.depth);
}
std::string too_many(const ClientLimits& limits) {
  return fmt::format("the body holds more than {} values", limits.values);
}

// Builds a JSON value from msgpack's events. Nothing is allocated by a count that the bytes only
// claim; a callback that answers false ends the parse with `error` set.
class JsonBuilder : public msgpack::null_visitor {
 public:
  explicit JsonBuilder(const ClientLimits& limits) : limits_(limits) {}
  json root;
  std::string error;

  bool visit_nil() { return add(nullptr); }
  bool visit_boolean(bool value) { return add(value); }
  bool visit_positive_integer(std::uint64_t value) { return add(value); }
  bool visit_negative_integer(std::int64_t value) { return add(value); }
  bool visit_float32(float value) { return visit_float64(value); }
  bool visit_float64(double value) {
    if (!std::isfinite(value)) return fail("numbers must be finite");
    return add(value);
  }
  bool visit_str(const char* data, std::uint32_t size) {
    const std::string_view text(data, size);
    if (!is_utf8(text)) return fail("strings must be UTF-8");
    if (!in_key_) return add(text);
    key_ = text;
    return true;
  }
  bool visit_bin(const char*, std::uint32_t) {
    return fail("binary values are not allowed: send text as strings");
  }
  bool visit_ext(const char*, std::uint32_t) { return fail("extension values are not allowed"); }
  bool start_array(std::uint32_t) { return open(json::array()); }
  bool end_array() { return close(); }
  bool start_map(std::uint32_t) { return open(json::object()); }
  bool end_map() { return close(); }
  bool start_map_key() { return in_key_ = true; }
  bool end_map_key() {
    in_key_ = false;
    return true;
  }
  void parse_error(std::size_t, std::size_t) { error = "the body is not msgpack"; }
  void insufficient_bytes(std::size_t, std::size_t) {
    error = "the body is cut off in the middle of a value";
  }

 private:
  bool fail(std::string why) {
    error = std::move(why);
    return false;
  }
  // Where the next value belongs; null when it may not come.
  json* place() {
    if (in_key_) return fail("keys of maps must be strings"), nullptr;
    if (++values_ > limits_.values) return fail(too_many(limits_)), nullptr;
    if (open_.empty()) return &root;
    json& parent = *open_.back();
    return parent.is_object() ? &parent[key_] : &parent.emplace_back();
  }
  template <class T>
  bool add(T&& value) {
    json* slot = place();
    if (slot) *slot = std::forward<T>(value);
    return slot != nullptr;
  }
  bool open(json container) {
    if (open_.size() >= limits_.depth) return fail(too_deep(limits_));
    json* slot = place();
    if (!slot) return false;
    *slot = std::move(container);
    open_.push_back(slot);  // a parent does not grow while its child is open
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const ClientLimits& limits_;
  std::vector<json*> open_;
  std::string key_;
  bool in_key_ = false;
  std::size_t values_ = 0;
};

// Depth and number of values of JSON text, before anything is built of it.
Result<void> check_size(std::string_view text, const ClientLimits& limits) {
  std::size_t depth = 0, values = 1;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > limits.depth) return invalid(too_deep(limits));
      ++values;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    } else if (c == ',' && ++values > limits.values) {
      return invalid(too_many(limits));
    }
  }
  return {};
}

}  // namespace

Result<json> decode_client(std::string_view body, const ClientLimits& limits) {
  if (body.empty()) return invalid("the body is empty: it must be a msgpack map");
  JsonBuilder builder(limits);
  std::size_t end = 0;
  const bool whole = msgpack::parse(body.data(), body.size(), end, builder);
  if (!whole || !builder.error.empty()) return invalid(std::move(builder.error));
  if (end != body.size()) return invalid("bytes follow the msgpack map");
  if (!builder.root.is_object()) return invalid("the body must be a msgpack map");
  return std::move(builder.root);
}

std::string encode_client(const json& map) {
  std::string body;
  json::to_msgpack(map, nlohmann::detail::output_adapter<char>(body));
  return body;
}

Result<json> parse_client_json(std::string_view text, const ClientLimits& limits) {
  if (auto size = check_size(text, limits); !size.ok()) return size.error();
  try {
    json value = json::parse(text);
    if (!value.is_object()) return invalid("the body must be a JSON object");
    return value;
  } catch (const json::parse_error& error) {
    // The library's own sentence quotes the input, whatever its length and encoding.
    return invalid(fmt::format("the body is not JSON: see byte {}", error.byte));
  } catch (const json::out_of_range&) {
    return invalid("a number in the body is too large");
  }
}

// RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  while (i < text.size()) {
    const unsigned char lead = byte(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    }
    const unsigned char second = byte(i + 1);
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
        (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) {
      return false;
    }
    i += length;
  }
  return true;
}

}  // namespace aorta::mesh
