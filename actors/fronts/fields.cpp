#include "actors/fronts/fields.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace aorta::fronts {

using nlohmann::json;

std::string_view kind_of(const json& value) {
  switch (value.type()) {
    case json::value_t::null:
      return "null";
    case json::value_t::object:
      return "an object";
    case json::value_t::array:
      return "an array";
    case json::value_t::string:
      return "a string";
    case json::value_t::boolean:
      return "a boolean";
    case json::value_t::number_float:
      return "a decimal number";
    case json::value_t::number_integer:
    case json::value_t::number_unsigned:
      return "an integer";
    case json::value_t::binary:
    case json::value_t::discarded:
      break;
  }
  return "binary data";
}

std::optional<std::int64_t> whole_number(const json& value) {
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  if (value.is_number_unsigned()) {
    const auto v = value.get<std::uint64_t>();
    if (v > static_cast<std::uint64_t>(most)) return std::nullopt;
    return static_cast<std::int64_t>(v);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double v = value.get<double>();
  if (!(v >= -0x1p63 && v < 0x1p63) || std::floor(v) != v) return std::nullopt;
  return static_cast<std::int64_t>(v);
}

Fields::Fields(const json& object, std::string path, std::optional<ApiError>& error)
    : object_(object), path_(std::move(path)), error_(error) {}

const json* Fields::find(std::string_view name) {
  known_.emplace(name);
  if (failed()) return nullptr;
  const auto entry = object_.find(std::string(name));
  return entry == object_.end() || entry->is_null() ? nullptr : &*entry;
}

void Fields::skip(std::initializer_list<std::string_view> names) {
  for (std::string_view name : names) known_.emplace(name);
}

void Fields::boolean(std::string_view name, bool& out) {
  const json* value = find(name);
  if (value == nullptr) return;
  if (!value->is_boolean()) return wrong_type(name, "a boolean", *value);
  out = value->get<bool>();
}

void Fields::number(std::string_view name, float& out, double least, double most) {
  const json* value = find(name);
  if (value == nullptr) return;
  if (!value->is_number()) return wrong_type(name, "a number", *value);
  const double v = value->get<double>();
  if (!(v >= least && v <= most)) {  // also what is not a number at all
    return fail(name, "invalid_value",
                fmt::format("Invalid '{}': {} is out of range; it must be between {} and {}.",
                            path_of(name), v, least, most));
  }
  out = static_cast<float>(v);
}

std::optional<std::int64_t> Fields::integer(std::string_view name, std::int64_t least,
                                            std::int64_t most) {
  const json* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    wrong_type(name, "an integer", *value);
    return std::nullopt;
  }
  const auto whole = whole_number(*value);
  if (!whole || *whole < least || *whole > most) {
    fail(name, "invalid_value",
         fmt::format("Invalid '{}': {} is not an integer between {} and {}.", path_of(name),
                     value->dump(), least, most));
    return std::nullopt;
  }
  return whole;
}

void Fields::text(std::string_view name, std::string& out, std::size_t most_bytes) {
  const json* value = find(name);
  if (value == nullptr) return;
  if (!value->is_string()) return wrong_type(name, "a string", *value);
  const auto& text = value->get_ref<const std::string&>();
  if (text.size() > most_bytes) {
    return fail(name, "string_above_max_length",
                fmt::format("Invalid '{}': it has {} bytes and may have {}.", path_of(name),
                            text.size(), most_bytes));
  }
  out = text;
}

const std::string* Fields::word_of(std::string_view name) {
  const json* value = find(name);
  if (value == nullptr) return nullptr;
  if (!value->is_string()) {
    wrong_type(name, "a string", *value);
    return nullptr;
  }
  return &value->get_ref<const std::string&>();
}

void Fields::not_one_of(std::string_view name, const std::string& word,
                        const std::string& allowed) {
  fail(name, "invalid_value",
       fmt::format("Invalid '{}': '{:.64}' is none of {}.", path_of(name), word, allowed));
}

std::vector<std::string> Fields::unknown() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : object_.items()) {
    if (!known_.contains(name)) names.push_back(path_ + name);
  }
  return names;
}

void Fields::fail(std::string_view name, std::string code, std::string message, int status) {
  if (!failed()) error_ = ApiError{status, std::move(code), std::move(message), path_of(name), 0};
}

void Fields::wrong_type(std::string_view name, std::string_view expected, const json& got) {
  fail(name, "invalid_type",
       fmt::format("Invalid type for '{}': expected {}, but got {} instead.", path_of(name),
                   expected, kind_of(got)));
}

}  // namespace aorta::fronts
