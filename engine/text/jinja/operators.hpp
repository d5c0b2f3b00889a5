#pragma once
// Operators on values: arithmetic, comparison, membership, indexing and slicing, as Python's.
#include <optional>

#include "engine/text/jinja/ast.hpp"
#include "engine/text/jinja/runtime.hpp"

namespace aorta::engine::jinja {

Value apply_unary(Runtime& runtime, UnaryOp op, const Value& operand);
// Any operator but `and` and `or`, which do not evaluate both sides.
Value apply_binary(Runtime& runtime, BinaryOp op, const Value& left, const Value& right);

bool contains(Runtime& runtime, const Value& container, const Value& item);
// object.name and object[index]; undefined when there is none.
Value get_attribute(Runtime& runtime, const Value& object, const std::string& name);
Value get_item(Runtime& runtime, const Value& object, const Value& index);

// Bounds of a slice; absent or none where the template leaves them out.
struct SliceBounds {
  Value start, stop, step;
};
Value get_slice(Runtime& runtime, const Value& object, const SliceBounds& bounds);

// Linear in both, unlike std::string::find, which a hostile template could make quadratic.
std::size_t find_text(std::string_view text, std::string_view part, std::size_t from = 0);

}  // namespace aorta::engine::jinja
