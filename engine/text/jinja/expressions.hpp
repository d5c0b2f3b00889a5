#pragma once
// Expressions of a chat template, with Jinja's precedence.
#include "engine/text/jinja/ast.hpp"
#include "engine/text/jinja/tokens.hpp"

namespace aorta::engine::jinja {

// Reads from a stream that outlives it, and reports errors there. A null result means an error.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}
  ExprPtr parse();     // a if b else c, and all that binds tighter
  ExprPtr parse_or();  // without "if", as in {% for x in xs if ... %}

 private:
  template <class Node>
  ExprPtr make(int line, Node node);
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_comparison();
  ExprPtr parse_arithmetic(std::size_t level);
  ExprPtr parse_unary(bool with_filters);
  ExprPtr parse_primary();
  ExprPtr parse_literal();
  ExprPtr parse_bracketed();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr expr);
  ExprPtr parse_subscript(ExprPtr object);
  ExprPtr parse_filters(ExprPtr expr);
  ExprPtr parse_test(ExprPtr input);
  Arguments parse_arguments();

  TokenStream& tokens_;
};

}  // namespace aorta::engine::jinja
