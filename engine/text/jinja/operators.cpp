#include "engine/text/jinja/operators.hpp"

#include <string.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace aorta::engine::jinja {
namespace {

Value mismatch(Runtime& runtime, std::string_view verb, const Value& left, const Value& right) {
  for (const Value* value : {&left, &right}) {
    if (const auto* undefined = value->get<Undefined>()) {
      return runtime.invalid("'" + undefined->name + "' is undefined");
    }
  }
  return runtime.invalid("cannot " + std::string(verb) + " " + std::string(left.type_name()) +
                         " and " + std::string(right.type_name()));
}

Value add(Runtime& runtime, const Value& left, const Value& right) {
  if (left.string() && right.string()) {
    if (!runtime.string_fits(left.string()->size() + right.string()->size())) return {};
    return make_string(*left.string() + *right.string());
  }
  if (left.list() && right.list()) {
    if (!runtime.charge(left.list()->items.size() + right.list()->items.size())) return {};
    std::vector<Value> items = left.list()->items;
    items.insert(items.end(), right.list()->items.begin(), right.list()->items.end());
    return runtime.list(std::move(items));
  }
  return mismatch(runtime, "add", left, right);
}

Value repeat(Runtime& runtime, const std::string& text, std::int64_t count) {
  if (count <= 0 || text.empty()) return make_string({});
  std::size_t size = 0;
  if (__builtin_mul_overflow(text.size(), static_cast<std::size_t>(count), &size)) {
    size = std::numeric_limits<std::size_t>::max();
  }
  if (!runtime.string_fits(size)) return {};
  std::string repeated;
  for (std::int64_t i = 0; i < count; ++i) repeated += text;
  return make_string(std::move(repeated));
}

std::int64_t floor_quotient(std::int64_t a, std::int64_t b) {
  const std::int64_t quotient = a / b;
  return quotient * b != a && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

Value integer_arithmetic(Runtime& runtime, BinaryOp op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case BinaryOp::add:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case BinaryOp::subtract:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case BinaryOp::multiply:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    default:
      overflow = a == std::numeric_limits<std::int64_t>::min() && b == -1;
      if (!overflow) result = floor_quotient(a, b);
      if (op == BinaryOp::modulo) result = overflow ? 0 : a - result * b, overflow = false;
  }
  if (overflow) return runtime.unsupported("an integer does not fit 64 bits");
  return Value(result);
}

Value real_arithmetic(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::add:
      return Value(a + b);
    case BinaryOp::subtract:
      return Value(a - b);
    case BinaryOp::multiply:
      return Value(a * b);
    case BinaryOp::divide:
      return Value(a / b);
    case BinaryOp::floor_divide:
      return Value(std::floor(a / b));
    default:
      return Value(a - std::floor(a / b) * b);
  }
}

Value arithmetic(Runtime& runtime, BinaryOp op, const Value& left, const Value& right) {
  const Number a = number_of(left), b = number_of(right);
  if (!a.ok || !b.ok) {
    if (op == BinaryOp::add) return add(runtime, left, right);
    if (op == BinaryOp::multiply && left.string() && b.is_integer) {
      return repeat(runtime, *left.string(), b.integer);
    }
    if (op == BinaryOp::modulo && left.string()) {
      return runtime.unsupported("formatting a string with % is not supported");
    }
    return mismatch(runtime, "calculate with", left, right);
  }
  const bool divides =
      op == BinaryOp::divide || op == BinaryOp::floor_divide || op == BinaryOp::modulo;
  if (divides && b.real == 0) return runtime.invalid("division by zero");
  if (a.is_integer && b.is_integer && op != BinaryOp::divide) {
    return integer_arithmetic(runtime, op, a.integer, b.integer);
  }
  return real_arithmetic(op, a.real, b.real);
}

Value ordered(Runtime& runtime, BinaryOp op, const Value& left, const Value& right) {
  const Order order = compare(left, right);
  if (!order.ok) return mismatch(runtime, "compare", left, right);
  switch (op) {
    case BinaryOp::less:
      return Value(order.sign < 0);
    case BinaryOp::less_equal:
      return Value(order.sign <= 0);
    case BinaryOp::greater:
      return Value(order.sign > 0);
    default:
      return Value(order.sign >= 0);
  }
}

bool equal_paid(Runtime& runtime, const Value& a, const Value& b) {
  return runtime.charge(std::min(a.weight(), b.weight())) && equal(a, b);
}

Value concatenate(Runtime& runtime, const Value& left, const Value& right) {
  std::string text = runtime.print(left);
  text += runtime.print(right);
  return runtime.string(std::move(text));
}

}  // namespace

Value apply_unary(Runtime& runtime, UnaryOp op, const Value& operand) {
  if (op == UnaryOp::logical_not) return Value(!operand.truthy());
  const Number number = number_of(operand);
  if (!number.ok) return mismatch(runtime, "calculate with", Value(std::int64_t{0}), operand);
  const BinaryOp binary = op == UnaryOp::negate ? BinaryOp::subtract : BinaryOp::add;
  return arithmetic(runtime, binary, Value(std::int64_t{0}), operand);
}

Value apply_binary(Runtime& runtime, BinaryOp op, const Value& left, const Value& right) {
  switch (op) {
    case BinaryOp::equal:
      return Value(equal_paid(runtime, left, right));
    case BinaryOp::not_equal:
      return Value(!equal_paid(runtime, left, right));
    case BinaryOp::less:
    case BinaryOp::less_equal:
    case BinaryOp::greater:
    case BinaryOp::greater_equal:
      return ordered(runtime, op, left, right);
    case BinaryOp::in:
      return Value(contains(runtime, right, left));
    case BinaryOp::not_in:
      return Value(!contains(runtime, right, left));
    case BinaryOp::concatenate:
      return concatenate(runtime, left, right);
    default:
      return arithmetic(runtime, op, left, right);
  }
}

bool contains(Runtime& runtime, const Value& container, const Value& item) {
  if (const std::string* text = container.string()) {
    if (!item.string()) return mismatch(runtime, "look up", item, container), false;
    return runtime.charge_bytes(text->size() + item.string()->size()) &&
           find_text(*text, *item.string()) != std::string::npos;
  }
  if (const List* list = container.list()) {
    return std::any_of(list->items.begin(), list->items.end(),
                       [&](const Value& other) { return equal_paid(runtime, item, other); });
  }
  if (const Dict* dict = container.dict()) {
    return runtime.charge(dict->entries.size()) && item.string() && dict->find(*item.string());
  }
  if (!container.is_undefined()) mismatch(runtime, "look up", item, container);
  return false;
}

Value get_attribute(Runtime& runtime, const Value& object, const std::string& name) {
  if (const auto* undefined = object.get<Undefined>()) {
    return runtime.invalid("'" + undefined->name + "' is undefined, so it has no '" + name + "'");
  }
  const Value* found = nullptr;
  if (const Dict* dict = object.dict()) {
    if (runtime.charge(dict->entries.size())) found = dict->find(name);
  } else if (const Namespace* space = object.as_namespace()) {
    if (runtime.charge(space->entries.size())) found = space->find(name);
  }
  return found ? *found : Value(Undefined{name});
}

Value get_item(Runtime& runtime, const Value& object, const Value& index) {
  if (const std::string* name = index.string()) return get_attribute(runtime, object, *name);
  const Number number = number_of(index);
  if (object.is_undefined()) return get_attribute(runtime, object, "[]");
  if (!number.is_integer || !(object.list() || object.string())) return Value(Undefined{"[]"});
  const std::vector<Value> characters =
      object.string() ? runtime.iterate(object) : std::vector<Value>();
  const std::vector<Value>& items = object.list() ? object.list()->items : characters;
  const auto size = static_cast<std::int64_t>(items.size());
  const std::int64_t at = number.integer < 0 ? number.integer + size : number.integer;
  if (at < 0 || at >= size) return Value(Undefined{"[" + std::to_string(number.integer) + "]"});
  return items[static_cast<std::size_t>(at)];
}

// Python's rules: negative bounds count from the end, and all are cut to the sequence.
Value get_slice(Runtime& runtime, const Value& object, const SliceBounds& bounds) {
  if (!object.list() && !object.string()) {
    return runtime.invalid("cannot slice " + std::string(object.type_name()));
  }
  const auto bound = [&](const Value& value, std::int64_t absent) {
    if (value.is_undefined() || value.get<None>()) return absent;
    if (!value.integer()) runtime.invalid("a slice's bounds must be integers");
    return value.integer() ? *value.integer() : absent;
  };
  const std::vector<Value> items = runtime.iterate(object);
  const auto size = static_cast<std::int64_t>(items.size());
  const std::int64_t step = bound(bounds.step, 1);
  if (step == 0) return runtime.invalid("a slice's step must not be 0");
  const bool forward = step > 0;
  const auto clamp = [&](std::int64_t at) {
    if (at < 0) at += size;
    return std::clamp<std::int64_t>(at, forward ? 0 : -1, forward ? size : size - 1);
  };
  const bool has_start = bounds.start.integer(), has_stop = bounds.stop.integer();
  const std::int64_t start = has_start ? clamp(bound(bounds.start, 0)) : forward ? 0 : size - 1;
  const std::int64_t stop = has_stop ? clamp(bound(bounds.stop, 0)) : forward ? size : -1;
  bound(bounds.start, 0), bound(bounds.stop, 0);  // only for their errors
  std::vector<Value> taken;
  for (std::int64_t at = start; forward ? at < stop : at > stop;) {
    taken.push_back(items[static_cast<std::size_t>(at)]);
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  if (object.list()) return runtime.list(std::move(taken));
  std::string text;
  for (const Value& character : taken) text += *character.string();
  return runtime.string(std::move(text));
}

std::size_t find_text(std::string_view text, std::string_view part, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (part.empty()) return from;
  const void* found = ::memmem(text.data() + from, text.size() - from, part.data(), part.size());
  if (!found) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

}  // namespace aorta::engine::jinja
