// Filters: input | name(arguments).
#include <cerrno>
#include <cstdlib>
#include <unordered_map>
#include <unordered_set>

#include "engine/text/jinja/builtins.hpp"
#include "engine/text/jinja/operators.hpp"
#include "engine/text/jinja/strings.hpp"

namespace aorta::engine::jinja {
namespace {

using FilterFunction = Value (*)(Runtime&, const Value&, const CallArguments&);

Value length(Runtime& runtime, const Value& input, const CallArguments&) {
  if (const std::string* text = input.string()) {
    return runtime.charge_bytes(text->size()) ? Value(count_characters(*text)) : Value();
  }
  if (const List* list = input.list()) return Value(static_cast<std::int64_t>(list->items.size()));
  if (const Dict* dict = input.dict()) {
    return Value(static_cast<std::int64_t>(dict->entries.size()));
  }
  if (input.is_undefined()) return Value(std::int64_t{0});
  return wrong_type(runtime, "length", input);
}

Value join(Runtime& runtime, const Value& input, const CallArguments& arguments) {
  const std::string separator = runtime.print(arguments.get(0, "d"));
  if (!arguments.get(1, "attribute").is_undefined()) {
    return runtime.unsupported("join(attribute=...) is not supported");
  }
  std::string out;
  bool first = true;
  for (const Value& item : runtime.iterate(input)) {
    if (!first) out += separator;
    first = false;
    out += runtime.print(item);
    if (!runtime.charge_bytes(separator.size())) return {};
  }
  return runtime.string(std::move(out));
}

Value default_value(Runtime&, const Value& input, const CallArguments& arguments) {
  const bool also_falsy = arguments.get(1, "boolean").truthy();
  const bool absent = input.is_undefined() || (also_falsy && !input.truthy());
  if (!absent) return input;
  const Value other = arguments.get(0, "default_value");
  return other.is_undefined() ? make_string({}) : other;
}

Value to_integer(Runtime& runtime, const Value& input, const CallArguments& arguments) {
  const Number number = number_of(input);
  if (number.is_integer) return Value(number.integer);
  if (number.ok && number.real > -9e18 && number.real < 9e18) {
    return Value(static_cast<std::int64_t>(number.real));
  }
  if (const std::string* text = input.string()) {
    char* end = nullptr;
    errno = 0;
    const long long value = std::strtoll(text->c_str(), &end, 10);
    if (!text->empty() && *end == '\0' && errno == 0) return Value(std::int64_t{value});
  }
  runtime.charge();
  return Value(integer_or(arguments.get(0, "default"), 0));
}

Value edge(Runtime& runtime, const Value& input, bool last) {
  const std::vector<Value> items = runtime.iterate(input);
  if (items.empty()) return Value(Undefined{last ? "last" : "first"});
  return last ? items.back() : items.front();
}

Value reverse(Runtime& runtime, const Value& input, const CallArguments&) {
  return get_slice(runtime, input, {Value(), Value(), Value(std::int64_t{-1})});
}

CallArguments without_first(const CallArguments& arguments, std::size_t count) {
  CallArguments rest = arguments;
  const auto taken = std::min(count, rest.positional.size());
  rest.positional.erase(rest.positional.begin(),
                        rest.positional.begin() + static_cast<std::ptrdiff_t>(taken));
  return rest;
}

const std::unordered_set<std::string_view> filters_of_lists = {"map", "select", "reject",
                                                               "selectattr", "rejectattr"};

// map(attribute='name') or map('filter', arguments...)
Value map(Runtime& runtime, const Value& input, const CallArguments& arguments) {
  const Value attribute = arguments.get(~std::size_t{0}, "attribute");
  const Value filter = arguments.get(0, "filter");
  // One that takes a filter itself would let the arguments alone recurse without bound.
  const bool takes_filter = filter.string() && filters_of_lists.count(*filter.string()) > 0;
  if (takes_filter || !arguments.get(~std::size_t{0}, "default").is_undefined()) {
    return runtime.unsupported("map with default= or with a filter of lists is not supported");
  }
  std::vector<Value> mapped;
  for (const Value& item : runtime.iterate(input)) {
    if (attribute.string()) {
      mapped.push_back(get_attribute(runtime, item, *attribute.string()));
    } else if (filter.string()) {
      mapped.push_back(apply_filter(runtime, *filter.string(), item, without_first(arguments, 1)));
    } else {
      return runtime.unsupported("map takes a filter's name or attribute=");
    }
    if (runtime.failed()) return {};
  }
  return runtime.list(std::move(mapped));
}

// select('test', ...), selectattr('name', 'test', ...) and their opposites.
Value select(Runtime& runtime, const Value& input, const CallArguments& arguments,
             bool by_attribute, bool keep) {
  const Value attribute = by_attribute ? arguments.get(0, "attribute") : Value();
  if (by_attribute && !attribute.string()) return wrong_type(runtime, "selectattr", attribute);
  const CallArguments rest = without_first(arguments, by_attribute ? 1 : 0);
  const Value test = rest.get(0, "test");
  std::vector<Value> kept;
  for (const Value& item : runtime.iterate(input)) {
    const Value tested = by_attribute ? get_attribute(runtime, item, *attribute.string()) : item;
    const bool passes = test.string()
                            ? apply_test(runtime, *test.string(), tested, without_first(rest, 1))
                            : tested.truthy();
    if (passes == keep) kept.push_back(item);
    if (runtime.failed()) return {};
  }
  return runtime.list(std::move(kept));
}

Value to_json_filter(Runtime& runtime, const Value& input, const CallArguments& arguments) {
  const std::int64_t indent = integer_or(arguments.get(0, "indent"), 0);
  if (indent < 0 || indent > 16) return runtime.invalid("tojson's indent must be 0 to 16");
  return to_json(runtime, input, static_cast<int>(indent));
}

// Filters that are string methods by another name or the same; they take what prints as text.
const std::unordered_map<std::string_view, const char*> filters_of_text = {
    {"trim", "strip"},  {"upper", "upper"},    {"lower", "lower"}, {"capitalize", "capitalize"},
    {"title", "title"}, {"replace", "replace"}};

const std::unordered_map<std::string_view, FilterFunction> filters = {
    {"length", length},
    {"count", length},
    {"join", join},
    {"default", default_value},
    {"d", default_value},
    {"tojson", to_json_filter},
    {"int", to_integer},
    {"reverse", reverse},
    {"map", map},
    {"string",
     [](Runtime& r, const Value& v, const CallArguments&) { return r.string(r.print(v)); }},
    {"safe", [](Runtime&, const Value& v, const CallArguments&) { return v; }},
    {"list", [](Runtime& r, const Value& v, const CallArguments&) { return r.list(r.iterate(v)); }},
    {"first", [](Runtime& r, const Value& v, const CallArguments&) { return edge(r, v, false); }},
    {"last", [](Runtime& r, const Value& v, const CallArguments&) { return edge(r, v, true); }},
    {"items", [](Runtime& r, const Value& v, const CallArguments&) { return dict_items(r, v); }},
    {"select", [](Runtime& r, const Value& v,
                  const CallArguments& a) { return select(r, v, a, false, true); }},
    {"reject", [](Runtime& r, const Value& v,
                  const CallArguments& a) { return select(r, v, a, false, false); }},
    {"selectattr", [](Runtime& r, const Value& v,
                      const CallArguments& a) { return select(r, v, a, true, true); }},
    {"rejectattr", [](Runtime& r, const Value& v,
                      const CallArguments& a) { return select(r, v, a, true, false); }},
};

}  // namespace

Value apply_filter(Runtime& runtime, const std::string& name, const Value& input,
                   const CallArguments& arguments) {
  if (!runtime.charge()) return {};
  if (const auto method = filters_of_text.find(name); method != filters_of_text.end()) {
    const Value text = make_string(runtime.print(input));
    return call_method(runtime, text, method->second, arguments);
  }
  const auto filter = filters.find(name);
  if (filter == filters.end()) {
    return runtime.unsupported("the filter '" + name + "' is not supported");
  }
  return filter->second(runtime, input, arguments);
}

}  // namespace aorta::engine::jinja
