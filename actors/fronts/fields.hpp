#pragma once
// Reads the fields of one JSON object: typed, with ranges, and with an error that names the field
// and what is allowed. The first error stays; later calls then do nothing.
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "actors/fronts/api_error.hpp"

namespace aorta::fronts {

// "a string", "a number", … as OpenAI's sentences call it.
std::string_view kind_of(const nlohmann::json& value);

class Fields {
 public:
  // `path` is what stands before a field's name in sentences: "" or "aorta.". Errors go to `error`,
  // which several readers may share.
  Fields(const nlohmann::json& object, std::string path, std::optional<ApiError>& error);

  // A reader of an object within this one, which shares its error.
  Fields within(const nlohmann::json& object, std::string_view name) {
    return Fields(object, path_of(name) + ".", error_);
  }

  // The field, marked as known; nullptr when absent, null, or after an error.
  const nlohmann::json* find(std::string_view name);
  // Known, but without any effect here.
  void skip(std::initializer_list<std::string_view> names);
  bool is_known(std::string_view name) const { return known_.contains(name); }

  // Each leaves `out` as it is when the field is absent or null.
  void boolean(std::string_view name, bool& out);
  void number(std::string_view name, float& out, double least, double most);
  // `least` and `most` lie within ±2^53, or the whole range of int64. A float without a fraction
  // counts as an integer.
  std::optional<std::int64_t> integer(std::string_view name, std::int64_t least, std::int64_t most);
  void text(std::string_view name, std::string& out, std::size_t most_bytes);
  template <class T>
  void choice(std::string_view name, T& out,
              std::initializer_list<std::pair<std::string_view, T>> allowed) {
    const std::string* word = word_of(name);
    if (word == nullptr) return;
    std::string names;
    for (const auto& [text, value] : allowed) {
      if (text == *word) {
        out = value;
        return;
      }
      names.append(names.empty() ? "'" : ", '").append(text).append("'");
    }
    not_one_of(name, *word, names);
  }

  // What is in the object and was never asked for.
  std::vector<std::string> unknown() const;

  // Sets the error unless one is set; `name` is without the path.
  void fail(std::string_view name, std::string code, std::string message, int status = 400);
  void wrong_type(std::string_view name, std::string_view expected, const nlohmann::json& got);
  bool failed() const { return error_.has_value(); }
  std::string path_of(std::string_view name) const { return path_ + std::string(name); }

 private:
  const std::string* word_of(std::string_view name);
  void not_one_of(std::string_view name, const std::string& word, const std::string& allowed);

  const nlohmann::json& object_;
  std::string path_;
  std::optional<ApiError>& error_;
  std::set<std::string, std::less<>> known_;
};

// A JSON number that is whole and within int64, whether written 1 or 1.0.
std::optional<std::int64_t> whole_number(const nlohmann::json& value);

}  // namespace aorta::fronts
