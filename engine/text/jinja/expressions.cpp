#include "engine/text/jinja/expressions.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace aorta::engine::jinja {
namespace {

struct OpName {
  std::string_view text;
  BinaryOp op;
};
constexpr OpName comparisons[] = {{"==", BinaryOp::equal},  {"!=", BinaryOp::not_equal},
                                  {"<", BinaryOp::less},    {"<=", BinaryOp::less_equal},
                                  {">", BinaryOp::greater}, {">=", BinaryOp::greater_equal}};
struct ArithmeticOp {
  std::size_t level;  // of precedence, loosest first
  std::string_view text;
  BinaryOp op;
};
constexpr ArithmeticOp arithmetic[] = {
    {0, "+", BinaryOp::add},      {0, "-", BinaryOp::subtract}, {1, "~", BinaryOp::concatenate},
    {2, "*", BinaryOp::multiply}, {2, "/", BinaryOp::divide},   {2, "//", BinaryOp::floor_divide},
    {2, "%", BinaryOp::modulo}};
constexpr std::size_t arithmetic_levels = 3;

// The depth of the deepest tree below a node.
int deepest_of(const ExprPtr& expr) { return expr ? expr->depth : 0; }
int deepest_of(const std::vector<ExprPtr>& exprs) {
  int depth = 0;
  for (const ExprPtr& expr : exprs) depth = std::max(depth, deepest_of(expr));
  return depth;
}
int deepest_of(const Arguments& arguments) {
  int depth = deepest_of(arguments.positional);
  for (const auto& [name, expr] : arguments.named) depth = std::max(depth, deepest_of(expr));
  return depth;
}
int depth_below(const Literal&) { return 0; }
int depth_below(const Name&) { return 0; }
int depth_below(const ListExpr& node) { return deepest_of(node.items); }
int depth_below(const DictExpr& node) {
  int depth = 0;
  for (const auto& [key, value] : node.entries) {
    depth = std::max({depth, deepest_of(key), deepest_of(value)});
  }
  return depth;
}
int depth_below(const Unary& node) { return deepest_of(node.operand); }
int depth_below(const Binary& node) {
  return std::max(deepest_of(node.left), deepest_of(node.right));
}
int depth_below(const Conditional& node) {
  return std::max({deepest_of(node.value), deepest_of(node.condition), deepest_of(node.otherwise)});
}
int depth_below(const Attribute& node) { return deepest_of(node.object); }
int depth_below(const Subscript& node) {
  return std::max(deepest_of(node.object), deepest_of(node.index));
}
int depth_below(const Slice& node) {
  return std::max({deepest_of(node.object), deepest_of(node.start), deepest_of(node.stop),
                   deepest_of(node.step)});
}
int depth_below(const Call& node) {
  return std::max(deepest_of(node.callee), deepest_of(node.arguments));
}
int depth_below(const Filter& node) {
  return std::max(deepest_of(node.input), deepest_of(node.arguments));
}
int depth_below(const Test& node) {
  return std::max(deepest_of(node.input), deepest_of(node.arguments));
}

}  // namespace

template <class Node>
ExprPtr ExpressionParser::make(int line, Node node) {
  const int depth = depth_below(node) + 1;
  if (depth > TokenStream::deepest) {
    tokens_.fail(ErrorCode::unsupported, "an expression is nested deeper than " +
                                             std::to_string(TokenStream::deepest) + " levels");
    return nullptr;
  }
  auto expr = std::make_unique<Expr>();
  expr->line = line;
  expr->depth = depth;
  expr->node = std::move(node);
  return expr;
}

ExprPtr ExpressionParser::parse() {
  const TokenStream::Level level(tokens_);
  const int line = tokens_.line();
  ExprPtr value = parse_or();
  while (tokens_.accept_name("if")) {
    ExprPtr condition = parse_or();
    ExprPtr otherwise = tokens_.accept_name("else") ? parse() : nullptr;
    value = make(line, Conditional{std::move(value), std::move(condition), std::move(otherwise)});
  }
  return value;
}

ExprPtr ExpressionParser::parse_or() {
  ExprPtr left = parse_and();
  for (int line = tokens_.line(); tokens_.accept_name("or"); line = tokens_.line()) {
    ExprPtr right = parse_and();
    left = make(line, Binary{BinaryOp::logical_or, std::move(left), std::move(right)});
  }
  return left;
}

ExprPtr ExpressionParser::parse_and() {
  ExprPtr left = parse_not();
  for (int line = tokens_.line(); tokens_.accept_name("and"); line = tokens_.line()) {
    ExprPtr right = parse_not();
    left = make(line, Binary{BinaryOp::logical_and, std::move(left), std::move(right)});
  }
  return left;
}

ExprPtr ExpressionParser::parse_not() {
  const int line = tokens_.line();
  if (!tokens_.accept_name("not")) return parse_comparison();
  const TokenStream::Level level(tokens_);
  ExprPtr operand = parse_not();
  return make(line, Unary{UnaryOp::logical_not, std::move(operand)});
}

ExprPtr ExpressionParser::parse_comparison() {
  ExprPtr left = parse_arithmetic(0);
  std::optional<BinaryOp> op;
  const int line = tokens_.line();
  for (const OpName& candidate : comparisons) {
    if (tokens_.is_op(candidate.text)) op = candidate.op;
  }
  if (tokens_.is_name("in")) op = BinaryOp::in;
  if (tokens_.is_name("not") && tokens_.peek(1).kind == TokenKind::name &&
      tokens_.peek(1).text == "in") {
    tokens_.next();
    op = BinaryOp::not_in;
  }
  if (!op) return left;
  tokens_.next();
  ExprPtr right = parse_arithmetic(0);
  for (const OpName& candidate : comparisons) {
    if (!tokens_.is_op(candidate.text)) continue;
    tokens_.fail(ErrorCode::unsupported, "chained comparisons are not supported");
  }
  return make(line, Binary{*op, std::move(left), std::move(right)});
}

ExprPtr ExpressionParser::parse_arithmetic(std::size_t level) {
  if (level == arithmetic_levels) return parse_unary(true);
  ExprPtr left = parse_arithmetic(level + 1);
  for (;;) {
    const auto op = std::find_if(std::begin(arithmetic), std::end(arithmetic),
                                 [&](const ArithmeticOp& candidate) {
                                   return candidate.level == level && tokens_.is_op(candidate.text);
                                 });
    if (op == std::end(arithmetic)) break;
    const int line = tokens_.next().line;
    ExprPtr right = parse_arithmetic(level + 1);
    left = make(line, Binary{op->op, std::move(left), std::move(right)});
  }
  if (tokens_.is_op("**")) tokens_.fail(ErrorCode::unsupported, "the operator ** is not supported");
  return left;
}

// Filters bind looser than a sign: -x|abs is (-x)|abs.
ExprPtr ExpressionParser::parse_unary(bool with_filters) {
  const TokenStream::Level level(tokens_);
  const int line = tokens_.line();
  ExprPtr expr;
  if (tokens_.is_op("-") || tokens_.is_op("+")) {
    const UnaryOp op = tokens_.next().text == "-" ? UnaryOp::negate : UnaryOp::plus;
    ExprPtr operand = parse_unary(false);
    expr = make(line, Unary{op, std::move(operand)});
  } else {
    expr = parse_postfix(parse_primary());
  }
  return with_filters ? parse_filters(std::move(expr)) : std::move(expr);
}

ExprPtr ExpressionParser::parse_primary() {
  const int line = tokens_.line();
  if (tokens_.is_op("(") || tokens_.is_op("[")) return parse_bracketed();
  if (tokens_.is_op("{")) return parse_dict();
  if (tokens_.peek().kind != TokenKind::name) return parse_literal();
  const std::string name = tokens_.next().text;
  if (name == "true" || name == "True") return make(line, Literal{Value(true)});
  if (name == "false" || name == "False") return make(line, Literal{Value(false)});
  if (name == "none" || name == "None") return make(line, Literal{Value(None{})});
  return make(line, Name{name});
}

ExprPtr ExpressionParser::parse_literal() {
  const Token token = tokens_.peek();
  if (token.kind == TokenKind::string) {
    std::string text;
    while (tokens_.peek().kind == TokenKind::string) {  // neighbours join, as in Python
      text += tokens_.next().text;
    }
    return make(token.line, Literal{make_string(std::move(text))});
  }
  const char* end = token.text.data() + token.text.size();
  if (token.kind == TokenKind::integer) {
    std::int64_t value = 0;
    if (std::from_chars(token.text.data(), end, value).ec != std::errc()) {
      tokens_.fail(ErrorCode::unsupported, "the number " + token.text + " does not fit 64 bits");
    }
    tokens_.next();
    return make(token.line, Literal{Value(value)});
  }
  if (token.kind == TokenKind::real) {
    double value = 0;
    std::from_chars(token.text.data(), end, value);
    tokens_.next();
    return make(token.line, Literal{Value(value)});
  }
  tokens_.fail_expected("an expression");
  return nullptr;
}

// (x), a tuple (x, y) or a list [x, y]; a tuple is a list here.
ExprPtr ExpressionParser::parse_bracketed() {
  const Token open = tokens_.next();
  const std::string_view close = open.text == "(" ? ")" : "]";
  std::vector<ExprPtr> items;
  bool comma = false;
  while (!tokens_.at_end() && !tokens_.is_op(close)) {
    items.push_back(parse());
    comma = tokens_.accept_op(",");
    if (!comma) break;
  }
  tokens_.expect_op(close);
  if (open.text == "(" && items.size() == 1 && !comma) return std::move(items[0]);
  return make(open.line, ListExpr{std::move(items)});
}

ExprPtr ExpressionParser::parse_dict() {
  const int line = tokens_.next().line;
  DictExpr dict;
  while (!tokens_.at_end() && !tokens_.is_op("}")) {
    ExprPtr key = parse();
    tokens_.expect_op(":");
    ExprPtr value = parse();
    dict.entries.emplace_back(std::move(key), std::move(value));
    if (!tokens_.accept_op(",")) break;
  }
  tokens_.expect_op("}");
  return make(line, std::move(dict));
}

ExprPtr ExpressionParser::parse_postfix(ExprPtr expr) {
  for (;;) {
    const int line = tokens_.line();
    if (tokens_.accept_op(".")) {
      std::string name = tokens_.expect_identifier();
      expr = make(line, Attribute{std::move(expr), std::move(name)});
    } else if (tokens_.is_op("[")) {
      expr = parse_subscript(std::move(expr));
    } else if (tokens_.is_op("(")) {
      expr = make(line, Call{std::move(expr), parse_arguments()});
    } else {
      return expr;
    }
  }
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr object) {
  const int line = tokens_.next().line;
  ExprPtr bounds[3];
  int colons = 0;
  while (!tokens_.at_end() && !tokens_.is_op("]") && colons < 3) {
    if (tokens_.accept_op(":")) {
      ++colons;
    } else if (!bounds[colons]) {
      bounds[colons] = parse();
    } else {
      break;
    }
  }
  tokens_.expect_op("]");
  if (colons > 2) {
    tokens_.fail(ErrorCode::invalid_argument, "a slice has more than three parts");
    return nullptr;
  }
  if (colons > 0) {
    return make(line, Slice{std::move(object), std::move(bounds[0]), std::move(bounds[1]),
                            std::move(bounds[2])});
  }
  if (!bounds[0]) tokens_.fail(ErrorCode::invalid_argument, "an index is missing between [ and ]");
  return make(line, Subscript{std::move(object), std::move(bounds[0])});
}

ExprPtr ExpressionParser::parse_filters(ExprPtr expr) {
  for (;;) {
    const int line = tokens_.line();
    if (tokens_.accept_op("|")) {
      std::string name = tokens_.expect_identifier();
      Arguments arguments = tokens_.is_op("(") ? parse_arguments() : Arguments();
      expr = make(line, Filter{std::move(expr), std::move(name), std::move(arguments)});
    } else if (tokens_.accept_name("is")) {
      expr = parse_test(std::move(expr));
    } else if (tokens_.is_op("(")) {
      expr = make(line, Call{std::move(expr), parse_arguments()});
    } else {
      return expr;
    }
  }
}

// x is name, x is name(...), x is name argument.
ExprPtr ExpressionParser::parse_test(ExprPtr input) {
  Test test;
  const int line = tokens_.line();
  test.input = std::move(input);
  test.negated = tokens_.accept_name("not");
  test.name = tokens_.expect_identifier();
  const Token& following = tokens_.peek();
  const bool keyword =
      following.kind == TokenKind::name &&
      (following.text == "and" || following.text == "or" || following.text == "else" ||
       following.text == "is" || following.text == "if");
  if (tokens_.is_op("(")) {
    test.arguments = parse_arguments();
  } else if (following.kind == TokenKind::string || following.kind == TokenKind::integer ||
             following.kind == TokenKind::real || tokens_.is_op("[") || tokens_.is_op("{") ||
             (following.kind == TokenKind::name && !keyword)) {
    test.arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  return make(line, std::move(test));
}

Arguments ExpressionParser::parse_arguments() {
  Arguments arguments;
  tokens_.expect_op("(");
  while (!tokens_.at_end() && !tokens_.is_op(")")) {
    if (tokens_.is_op("*") || tokens_.is_op("**")) {
      tokens_.fail(ErrorCode::unsupported, "* and ** arguments are not supported");
    } else if (tokens_.peek().kind == TokenKind::name && tokens_.peek(1).kind == TokenKind::op &&
               tokens_.peek(1).text == "=") {
      std::string name = tokens_.next().text;
      tokens_.next();
      arguments.named.emplace_back(std::move(name), parse());
    } else {
      arguments.positional.push_back(parse());
    }
    if (!tokens_.accept_op(",")) break;
  }
  tokens_.expect_op(")");
  return arguments;
}

}  // namespace aorta::engine::jinja
