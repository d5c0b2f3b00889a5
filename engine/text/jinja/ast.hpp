#pragma once
// The syntax tree of a chat template.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/text/jinja/value.hpp"

namespace aorta::engine::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<const Expr>;

struct Arguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
};

enum class UnaryOp : std::uint8_t { logical_not, negate, plus };
enum class BinaryOp : std::uint8_t {
  logical_or,
  logical_and,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in,
  add,
  subtract,
  concatenate,  // ~
  multiply,
  divide,
  floor_divide,
  modulo,
};

struct Literal {
  Value value;
};
struct Name {
  std::string name;
};
struct ListExpr {
  std::vector<ExprPtr> items;
};
struct DictExpr {
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};
struct Unary {
  UnaryOp op{};
  ExprPtr operand;
};
struct Binary {
  BinaryOp op{};
  ExprPtr left, right;
};
struct Conditional {  // value if condition else otherwise (which may be absent)
  ExprPtr value, condition, otherwise;
};
struct Attribute {
  ExprPtr object;
  std::string name;
};
struct Subscript {
  ExprPtr object, index;
};
struct Slice {  // each bound may be absent
  ExprPtr object, start, stop, step;
};
struct Call {
  ExprPtr callee;
  Arguments arguments;
};
struct Filter {
  ExprPtr input;
  std::string name;
  Arguments arguments;
};
struct Test {
  ExprPtr input;
  std::string name;
  Arguments arguments;
  bool negated = false;
};

struct Expr {
  int line = 0;
  int depth = 1;  // of the tree below, itself included: bounds the evaluator's recursion
  std::variant<Literal, Name, ListExpr, DictExpr, Unary, Binary, Conditional, Attribute, Subscript,
               Slice, Call, Filter, Test>
      node;
};

struct Statement;
using Block = std::vector<Statement>;

struct Text {
  std::string text;
};
struct Output {
  ExprPtr value;
};
struct If {
  std::vector<std::pair<ExprPtr, Block>> branches;
  Block otherwise;
};
struct For {
  std::vector<std::string> targets;  // more than one unpacks
  ExprPtr iterable, filter;          // filter may be absent
  Block body, otherwise;             // otherwise: when nothing was iterated
};
struct Set {
  std::string name;
  std::string attribute;  // of a namespace; empty for a variable
  ExprPtr value;          // absent: the text of `body`
  Block body;
};

struct Statement {
  int line = 0;
  std::variant<Text, Output, If, For, Set> node;
};

}  // namespace aorta::engine::jinja
