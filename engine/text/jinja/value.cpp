#include "engine/text/jinja/value.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace aorta::engine::jinja {
namespace {

const Value* find_entry(const std::vector<std::pair<std::string, Value>>& entries,
                        std::string_view key) {
  for (const auto& [name, value] : entries) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::size_t saturating_add(std::size_t a, std::size_t b) {
  std::size_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<std::size_t>::max() : sum;
}

bool equal_dicts(const Dict& a, const Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  return std::all_of(a.entries.begin(), a.entries.end(), [&](const auto& entry) {
    const Value* other = b.find(entry.first);
    return other && equal(entry.second, *other);
  });
}

}  // namespace

bool Value::truthy() const {
  if (const bool* flag = get<bool>()) return *flag;
  if (const Number number = number_of(*this); number.ok) return number.real != 0;
  if (const std::string* text = string()) return !text->empty();
  if (const List* items = list()) return !items->items.empty();
  if (const Dict* entries = dict()) return !entries->entries.empty();
  return !is_undefined() && !get<None>();
}

std::string_view Value::type_name() const {
  static constexpr std::string_view names[] = {"undefined", "none",    "bool", "int",
                                               "float",     "string",  "list", "dict",
                                               "namespace", "function"};
  return names[variant_.index()];
}

int Value::depth() const {
  if (const List* items = list()) return items->depth;
  if (const Dict* entries = dict()) return entries->depth;
  return 0;
}

std::size_t Value::weight() const {
  if (const std::string* text = string()) return 1 + text->size() / 64;
  if (const List* items = list()) return items->weight;
  if (const Dict* entries = dict()) return entries->weight;
  return 1;
}

const Value* Dict::find(std::string_view key) const { return find_entry(entries, key); }
const Value* Namespace::find(std::string_view key) const { return find_entry(entries, key); }

void Namespace::set(std::string_view key, Value value) {
  for (auto& [name, old] : entries) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  entries.emplace_back(key, std::move(value));
}

Value make_string(std::string text) {
  return Value(String(std::make_shared<const std::string>(std::move(text))));
}

Value make_list(std::vector<Value> items) {
  List list;
  for (const Value& item : items) {
    list.depth = std::max(list.depth, item.depth() + 1);
    list.weight = saturating_add(list.weight, item.weight());
  }
  list.items = std::move(items);
  return Value(std::make_shared<const List>(std::move(list)));
}

Value make_dict(std::vector<std::pair<std::string, Value>> entries) {
  Dict dict;
  for (const auto& [key, value] : entries) {
    dict.depth = std::max(dict.depth, value.depth() + 1);
    // Finding the key in another dict scans as many entries.
    dict.weight = saturating_add(dict.weight, entries.size() + key.size() / 64);
    dict.weight = saturating_add(dict.weight, value.weight());
  }
  dict.entries = std::move(entries);
  return Value(std::make_shared<const Dict>(std::move(dict)));
}

Number number_of(const Value& value) {
  if (const bool* flag = value.get<bool>()) return {true, true, *flag, *flag ? 1.0 : 0.0};
  if (const auto* integer = value.integer()) {
    return {true, true, *integer, static_cast<double>(*integer)};
  }
  if (const double* real = value.get<double>()) return {true, false, 0, *real};
  return {};
}

bool equal(const Value& a, const Value& b) {
  const Number x = number_of(a), y = number_of(b);
  if (x.ok && y.ok) {
    return x.is_integer && y.is_integer ? x.integer == y.integer : x.real == y.real;
  }
  if (a.string() && b.string()) return *a.string() == *b.string();
  if (a.list() && b.list()) {
    return std::equal(a.list()->items.begin(), a.list()->items.end(), b.list()->items.begin(),
                      b.list()->items.end(), equal);
  }
  if (a.dict() && b.dict()) return equal_dicts(*a.dict(), *b.dict());
  if (a.as_namespace() && b.as_namespace()) return a.as_namespace() == b.as_namespace();
  return (a.is_undefined() && b.is_undefined()) || (a.get<None>() && b.get<None>());
}

Order compare(const Value& a, const Value& b) {
  const Number x = number_of(a), y = number_of(b);
  if (x.ok && y.ok) {
    if (x.is_integer && y.is_integer) {
      return {true, (x.integer > y.integer) - (x.integer < y.integer)};
    }
    return {true, (x.real > y.real) - (x.real < y.real)};
  }
  if (a.string() && b.string()) {
    const int sign = a.string()->compare(*b.string());
    return {true, (sign > 0) - (sign < 0)};
  }
  return {};
}

std::string format_real(double value) {
  std::string text = fmt::format("{}", value);
  const bool looks_integral = text.find_first_of(".ein") == std::string::npos;
  return looks_integral ? text + ".0" : text;
}

}  // namespace aorta::engine::jinja
