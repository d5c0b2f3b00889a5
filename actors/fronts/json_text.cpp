#include "actors/fronts/json_text.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

namespace aorta::fronts {
namespace {

using nlohmann::json;

// Builds the value from the parser's events. The parser keeps its own stack on the heap, and the
// limit on depth keeps the value's destructor shallow.
class Builder final : public nlohmann::json_sax<json> {
 public:
  explicit Builder(const JsonLimits& limits) : limits_(limits) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool v) override { return put(v); }
  bool number_integer(number_integer_t v) override { return put(v); }
  bool number_unsigned(number_unsigned_t v) override { return put(v); }
  bool number_float(number_float_t v, const string_t&) override { return put(v); }
  bool string(string_t& v) override { return put(std::move(v)); }
  bool binary(binary_t&) override { return fail("binary values are not JSON"); }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    auto [entry, inserted] = stack_.back()->get_ref<json::object_t&>().emplace(name, nullptr);
    if (!inserted) return fail(fmt::format("the name '{:.64}' occurs twice in an object", name));
    member_ = &entry->second;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& e) override {
    // The parser's sentence without its own error number; it may quote a token of any length.
    std::string_view what = e.what();
    if (auto end = what.find("] "); end != what.npos) what.remove_prefix(end + 2);
    return fail(fmt::format("at byte {}: {:.160}", position, what));
  }

  json take() { return std::move(root_); }
  std::string error;

 private:
  bool fail(std::string sentence) {
    error = std::move(sentence);
    return false;
  }

  json* place(json&& value) {
    if (stack_.empty()) return &(root_ = std::move(value));
    if (stack_.back()->is_object()) return &(*member_ = std::move(value));
    return &stack_.back()->get_ref<json::array_t&>().emplace_back(std::move(value));
  }

  bool put(json&& value) {
    if (++values_ > limits_.values) {
      return fail(fmt::format("it holds more than {} values", limits_.values));
    }
    place(std::move(value));
    return true;
  }

  bool open(json&& container) {
    if (stack_.size() == limits_.depth) {
      return fail(fmt::format("it is nested deeper than {} levels", limits_.depth));
    }
    if (++values_ > limits_.values) {
      return fail(fmt::format("it holds more than {} values", limits_.values));
    }
    stack_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    stack_.pop_back();
    return true;
  }

  const JsonLimits limits_;
  json root_;
  std::vector<json*> stack_;  // open containers, outermost first
  json* member_ = nullptr;    // where the value of the last key goes
  std::size_t values_ = 0;
};

}  // namespace

Result<json> parse_json(std::string_view text, const JsonLimits& limits) {
  Builder builder(limits);
  if (json::sax_parse(text.begin(), text.end(), &builder)) return builder.take();
  return Error{ErrorCode::invalid_argument, "not valid JSON: " + builder.error};
}

std::string dump_json(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string dump_json(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string valid_text(std::string_view bytes) {
  return json::parse(dump_json(json(bytes))).get<std::string>();
}

}  // namespace aorta::fronts
