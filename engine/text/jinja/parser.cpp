#include "engine/text/jinja/parser.hpp"

#include <algorithm>
#include <initializer_list>
#include <optional>

#include "engine/model/gguf_reader.hpp"
#include "engine/text/jinja/expressions.hpp"
#include "engine/text/jinja/tokens.hpp"

namespace aorta::engine::jinja {
namespace {

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Block> run() {
    Block block = parse_block({});
    if (tokens_.error()) return *tokens_.error();
    return block;
  }

 private:
  Block parse_block(std::initializer_list<std::string_view> until);
  std::optional<Statement> parse_statement();
  If parse_if();
  For parse_for();
  Set parse_set();
  Block parse_body(std::initializer_list<std::string_view> until);
  void end_tag(std::string_view name);

  TokenStream tokens_;
  ExpressionParser expressions_{tokens_};
};

// Statements up to a tag {% name ... that is one of `until`, whose name is left to be read.
Block Parser::parse_block(std::initializer_list<std::string_view> until) {
  const TokenStream::Level level(tokens_);
  Block block;
  while (!tokens_.at_end()) {
    const bool is_tag = tokens_.peek().kind == TokenKind::block_begin;
    if (is_tag && std::find(until.begin(), until.end(), tokens_.peek(1).text) != until.end()) {
      tokens_.next();
      return block;
    }
    if (auto statement = parse_statement()) block.push_back(std::move(*statement));
  }
  if (until.size() > 0) tokens_.fail_expected("{% " + std::string(*(until.end() - 1)) + " %}");
  return block;
}

std::optional<Statement> Parser::parse_statement() {
  const Token first = tokens_.next();
  if (first.kind == TokenKind::text) return Statement{first.line, Text{first.text}};
  if (first.kind == TokenKind::output_begin) {
    ExprPtr value = expressions_.parse();
    tokens_.expect(TokenKind::output_end, "}}");
    return Statement{first.line, Output{std::move(value)}};
  }
  if (tokens_.accept_name("if")) return Statement{first.line, parse_if()};
  if (tokens_.accept_name("for")) return Statement{first.line, parse_for()};
  if (tokens_.accept_name("set")) return Statement{first.line, parse_set()};
  tokens_.fail(ErrorCode::unsupported, "the statement {% " + printable(tokens_.peek().text) +
                                           " %} is not supported here; if, for and set are");
  return std::nullopt;
}

Block Parser::parse_body(std::initializer_list<std::string_view> until) {
  tokens_.expect(TokenKind::block_end, "%}");
  return parse_block(until);
}

void Parser::end_tag(std::string_view name) {
  tokens_.expect_name(name);
  tokens_.expect(TokenKind::block_end, "%}");
}

If Parser::parse_if() {
  If statement;
  do {
    ExprPtr condition = expressions_.parse();
    Block body = parse_body({"elif", "else", "endif"});
    statement.branches.emplace_back(std::move(condition), std::move(body));
  } while (tokens_.accept_name("elif"));
  if (tokens_.accept_name("else")) statement.otherwise = parse_body({"endif"});
  end_tag("endif");
  return statement;
}

For Parser::parse_for() {
  For statement;
  do {
    statement.targets.push_back(tokens_.expect_identifier());
  } while (tokens_.accept_op(","));
  tokens_.expect_name("in");
  statement.iterable = expressions_.parse_or();
  if (tokens_.accept_name("if")) statement.filter = expressions_.parse();
  if (tokens_.is_name("recursive")) {
    tokens_.fail(ErrorCode::unsupported, "recursive loops are not supported");
  }
  statement.body = parse_body({"else", "endfor"});
  if (tokens_.accept_name("else")) statement.otherwise = parse_body({"endfor"});
  end_tag("endfor");
  return statement;
}

Set Parser::parse_set() {
  Set statement;
  statement.name = tokens_.expect_identifier();
  if (tokens_.accept_op(".")) statement.attribute = tokens_.expect_identifier();
  if (tokens_.is_op(",")) {
    tokens_.fail(ErrorCode::unsupported, "setting several names at once is not supported");
  }
  if (tokens_.is_op("|")) {
    tokens_.fail(ErrorCode::unsupported, "a filter on a {% set %} block is not supported");
  }
  if (tokens_.accept_op("=")) {
    statement.value = expressions_.parse();
    tokens_.expect(TokenKind::block_end, "%}");
  } else {
    statement.body = parse_body({"endset"});
    end_tag("endset");
  }
  return statement;
}

}  // namespace

Result<Block> parse(std::string_view source) {
  auto tokens = lex(source);
  if (!tokens) return tokens.error();
  return Parser(std::move(*tokens)).run();
}

}  // namespace aorta::engine::jinja
