#include "engine/text/jinja/builtins.hpp"

#include <unordered_map>

#include "engine/text/jinja/operators.hpp"
#include "engine/text/jinja/strings.hpp"

namespace aorta::engine::jinja {
namespace {

using StringMethod = Value (*)(Runtime&, const std::string&, const CallArguments&);

// --- string methods ---

template <Strip side>
Value strip_method(Runtime& runtime, const std::string& text, const CallArguments& arguments) {
  return strip(runtime, text, side, arguments.get(0, "chars"));
}
template <Case to>
Value case_method(Runtime& runtime, const std::string& text, const CallArguments&) {
  return change_case(runtime, text, to);
}
template <bool at_end>
Value affix_method(Runtime& runtime, const std::string& text, const CallArguments& arguments) {
  return has_affix(runtime, text, arguments.get(0, ""), at_end);
}
Value split_method(Runtime& runtime, const std::string& text, const CallArguments& arguments) {
  return split(runtime, text, arguments.get(0, "sep"),
               integer_or(arguments.get(1, "maxsplit"), -1));
}
Value replace_method(Runtime& runtime, const std::string& text, const CallArguments& arguments) {
  if (arguments.positional.size() > 2) {
    return runtime.unsupported("replace with a count is not supported");
  }
  return replace(runtime, text, arguments.get(0, "old"), arguments.get(1, "new"));
}

const std::unordered_map<std::string_view, StringMethod> string_methods = {
    {"strip", strip_method<Strip::both>},
    {"lstrip", strip_method<Strip::left>},
    {"rstrip", strip_method<Strip::right>},
    {"upper", case_method<Case::upper>},
    {"lower", case_method<Case::lower>},
    {"capitalize", case_method<Case::capitalize>},
    {"title", case_method<Case::title>},
    {"startswith", affix_method<false>},
    {"endswith", affix_method<true>},
    {"split", split_method},
    {"replace", replace_method},
};

// --- global functions ---

Value range(Runtime& runtime, const CallArguments& arguments) {
  std::vector<std::int64_t> bounds;
  for (const Value& value : arguments.positional) {
    if (!value.integer()) return wrong_type(runtime, "range", value);
    bounds.push_back(*value.integer());
  }
  if (bounds.empty() || bounds.size() > 3) return runtime.invalid("range takes 1 to 3 integers");
  const std::int64_t start = bounds.size() > 1 ? bounds[0] : 0;
  const std::int64_t stop = bounds.size() > 1 ? bounds[1] : bounds[0];
  const std::int64_t step = bounds.size() > 2 ? bounds[2] : 1;
  if (step == 0) return runtime.invalid("range's step must not be 0");
  std::vector<Value> items;
  for (std::int64_t at = start; step > 0 ? at < stop : at > stop;) {
    if (!runtime.charge()) return {};
    items.push_back(Value(at));
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return runtime.list(std::move(items));
}

Value make_namespace(Runtime& runtime, const CallArguments& arguments) {
  if (!arguments.positional.empty()) {
    return runtime.unsupported("namespace takes named values only");
  }
  auto space = std::make_shared<Namespace>();
  for (const auto& [name, value] : arguments.named) {
    if (value.as_namespace()) return runtime.unsupported("a namespace inside a namespace");
    space->set(name, value);
  }
  return Value(std::move(space));
}

}  // namespace

Value CallArguments::get(std::size_t position, std::string_view name) const {
  if (position < positional.size()) return positional[position];
  for (const auto& [key, value] : named) {
    if (key == name) return value;
  }
  return {};
}

Value wrong_type(Runtime& runtime, std::string_view what, const Value& value) {
  if (const auto* undefined = value.get<Undefined>()) {
    return runtime.invalid("'" + undefined->name + "' is undefined");
  }
  return runtime.invalid(std::string(what) + " does not take a " + std::string(value.type_name()));
}

std::int64_t integer_or(const Value& value, std::int64_t otherwise) {
  return value.integer() ? *value.integer() : otherwise;
}

Value dict_items(Runtime& runtime, const Value& input) {
  if (input.is_undefined()) return runtime.list({});
  if (!input.dict()) return wrong_type(runtime, "items", input);
  std::vector<Value> items;
  for (const auto& [key, value] : input.dict()->entries) {
    items.push_back(runtime.list({runtime.string(key), value}));
  }
  return runtime.list(std::move(items));
}

Value call_method(Runtime& runtime, const Value& object, const std::string& name,
                  const CallArguments& arguments) {
  if (const std::string* text = object.string()) {
    const auto method = string_methods.find(name);
    if (method != string_methods.end()) return method->second(runtime, *text, arguments);
  } else if (const Dict* dict = object.dict()) {
    if (name == "items") return dict_items(runtime, object);
    if (name == "keys") return runtime.list(runtime.iterate(object));
    if (name == "get") {
      const Value key = arguments.get(0, "");
      const Value* found = key.string() ? dict->find(*key.string()) : nullptr;
      const Value otherwise = arguments.get(1, "default");
      return found ? *found : otherwise.is_undefined() ? Value(None{}) : otherwise;
    }
  } else if (object.is_undefined()) {
    return wrong_type(runtime, name, object);
  }
  return runtime.unsupported("the method " + std::string(object.type_name()) + "." + name +
                             "() is not supported");
}

bool is_function(std::string_view name) {
  return name == "namespace" || name == "range" || name == "raise_exception" || name == "dict";
}

Value call_function(Runtime& runtime, const std::string& name, const CallArguments& arguments) {
  if (name == "namespace") return make_namespace(runtime, arguments);
  if (name == "range") return range(runtime, arguments);
  if (name == "dict") return runtime.dict(arguments.named);
  if (name == "raise_exception") return runtime.invalid(runtime.print(arguments.get(0, "message")));
  return runtime.unsupported("the function '" + name + "' is not supported");
}

}  // namespace aorta::engine::jinja
