#pragma once
// What a running template may use: a budget of steps, sizes and nesting, and where errors go.
// Templates come with model files from anywhere: whatever one does, it ends soon with text or with
// one error.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "engine/text/jinja/value.hpp"

namespace aorta::engine::jinja {

struct Limits {
  std::size_t steps = 4'000'000;        // nodes evaluated, list items and 64-byte lines touched
  std::size_t string_bytes = 64 << 20;  // of any string, the rendered text included
  int value_depth = 64;                 // lists and dicts in each other
};

// The first error stays; after it everything evaluates to undefined without further work.
class Runtime {
 public:
  explicit Runtime(const Limits& limits) : limits_(limits) {}

  bool failed() const { return error_.has_value(); }
  const std::optional<Error>& error() const { return error_; }
  void at_line(int line) { line_ = line; }

  // Spends steps; false, with an error, when there are none left (or there was an error before).
  bool charge(std::size_t steps = 1);
  bool charge_bytes(std::size_t bytes) { return charge(1 + bytes / 64); }

  Value fail(ErrorCode code, const std::string& sentence);
  Value invalid(const std::string& sentence) { return fail(ErrorCode::invalid_argument, sentence); }
  Value unsupported(const std::string& sentence) { return fail(ErrorCode::unsupported, sentence); }

  // Values that grow, checked against the limits.
  Value string(std::string text);
  Value list(std::vector<Value> items);
  Value dict(std::vector<std::pair<std::string, Value>> entries);
  bool string_fits(std::size_t bytes);  // false, with an error, when it does not

  void append(std::string& out, std::string_view text);

  // As {{ value }} prints it: undefined is empty; lists and the like are unsupported.
  std::string print(const Value& value);
  // The items that {% for %} walks through: of a list, a dict's keys, a string's characters.
  std::vector<Value> iterate(const Value& value);

 private:
  const Limits limits_;
  std::size_t spent_ = 0;
  int line_ = 0;
  std::optional<Error> error_;
};

}  // namespace aorta::engine::jinja
