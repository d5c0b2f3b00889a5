#pragma once
// Values of a chat template: Python's, as far as Jinja shows them. Strings, lists and dicts are
// immutable and shared, as in the sandbox that templates are written for.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace aorta::engine::jinja {

class Value;
struct List;
struct Dict;
struct Namespace;

struct Undefined {
  std::string name;  // what was looked up in vain
};
struct None {};
struct Function {
  std::string name;  // of a global: namespace, range, raise_exception, dict
};
using String = std::shared_ptr<const std::string>;

class Value {
 public:
  using Variant =
      std::variant<Undefined, None, bool, std::int64_t, double, String, std::shared_ptr<const List>,
                   std::shared_ptr<const Dict>, std::shared_ptr<Namespace>, Function>;
  Value() = default;  // undefined
  template <class T>
  requires std::is_constructible_v<Variant, T> &&
      (!std::is_same_v<std::decay_t<T>, Value>)Value(T&& value)
      : variant_(std::forward<T>(value)) {}

  template <class T>
  const T* get() const {
    return std::get_if<T>(&variant_);
  }
  bool is_undefined() const { return get<Undefined>() != nullptr; }
  const std::string* string() const {
    const String* text = get<String>();
    return text ? text->get() : nullptr;
  }
  const List* list() const {
    const auto* list = get<std::shared_ptr<const List>>();
    return list ? list->get() : nullptr;
  }
  const Dict* dict() const {
    const auto* dict = get<std::shared_ptr<const Dict>>();
    return dict ? dict->get() : nullptr;
  }
  Namespace* as_namespace() const {
    const auto* space = get<std::shared_ptr<Namespace>>();
    return space ? space->get() : nullptr;
  }
  // Also of bools, which are 0 and 1 in arithmetic.
  const std::int64_t* integer() const { return get<std::int64_t>(); }

  bool truthy() const;
  std::string_view type_name() const;  // for error messages
  // How many lists and dicts lie in each other; 0 for scalars.
  int depth() const;
  // What walking through all of it costs, in runtime steps; a part that occurs twice counts twice.
  std::size_t weight() const;

 private:
  Variant variant_;
};

struct List {
  std::vector<Value> items;
  int depth = 1;
  std::size_t weight = 1;
};

// In order of insertion; few entries, so looked up by scanning.
struct Dict {
  std::vector<std::pair<std::string, Value>> entries;
  int depth = 1;
  std::size_t weight = 1;
  const Value* find(std::string_view key) const;
};

// namespace(...): the only thing a template can change. Never part of a list, a dict or another
// namespace, so values form no cycle.
struct Namespace {
  std::vector<std::pair<std::string, Value>> entries;
  const Value* find(std::string_view key) const;
  void set(std::string_view key, Value value);
};

Value make_string(std::string text);
Value make_list(std::vector<Value> items);
Value make_dict(std::vector<std::pair<std::string, Value>> entries);

// Python's ==. Its cost is bounded by the smaller weight.
bool equal(const Value& a, const Value& b);
// Negative, zero or positive; ok is false when Python would not order them.
struct Order {
  bool ok = false;
  int sign = 0;
};
Order compare(const Value& a, const Value& b);
// A number as double, bools included; ok is false for anything else.
struct Number {
  bool ok = false;
  bool is_integer = false;
  std::int64_t integer = 0;
  double real = 0;
};
Number number_of(const Value& value);

std::string format_real(double value);  // as Python's repr

}  // namespace aorta::engine::jinja
