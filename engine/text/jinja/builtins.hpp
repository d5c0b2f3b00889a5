#pragma once
// The filters, tests, methods and global functions that chat templates use. A name that is not
// here is an `unsupported` error when it is reached, not before: most live in branches for tools.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/text/jinja/runtime.hpp"

namespace aorta::engine::jinja {

struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  // The argument at `position`, or by name; undefined when it was not given.
  Value get(std::size_t position, std::string_view name) const;
};

Value apply_filter(Runtime& runtime, const std::string& name, const Value& input,
                   const CallArguments& arguments);
bool apply_test(Runtime& runtime, const std::string& name, const Value& input,
                const CallArguments& arguments);
// object.name(arguments) of a string or dict.
Value call_method(Runtime& runtime, const Value& object, const std::string& name,
                  const CallArguments& arguments);
bool is_function(std::string_view name);
Value call_function(Runtime& runtime, const std::string& name, const CallArguments& arguments);

// What several of them share.
Value dict_items(Runtime& runtime, const Value& dict);  // a list of [key, value]
Value wrong_type(Runtime& runtime, std::string_view what, const Value& value);
std::int64_t integer_or(const Value& value, std::int64_t otherwise);

}  // namespace aorta::engine::jinja
