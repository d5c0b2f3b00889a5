#pragma once
// A parser's view of a template's tokens. After an error it stands at the end token, so that every
// loop over it ends; what was built by then is thrown away.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "engine/text/jinja/lexer.hpp"

namespace aorta::engine::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& peek(std::size_t ahead = 0) const;
  Token next();
  bool at_end() const { return peek().kind == TokenKind::end; }
  int line() const { return peek().line; }
  bool is_op(std::string_view text) const { return is(TokenKind::op, text); }
  bool is_name(std::string_view text) const { return is(TokenKind::name, text); }
  bool accept_op(std::string_view text) { return is_op(text) && advance(); }
  bool accept_name(std::string_view text) { return is_name(text) && advance(); }
  void expect_op(std::string_view text);
  void expect_name(std::string_view text);
  void expect(TokenKind kind, std::string_view what);
  std::string expect_identifier();

  void fail(ErrorCode code, const std::string& sentence);
  void fail_expected(std::string_view what);
  const std::optional<Error>& error() const { return error_; }

  // Nesting of blocks, brackets and operators; hand-written templates stay below 20.
  static constexpr int deepest = 120;
  // Holds one level of a parser's recursion; more than `deepest` at once are an error.
  class Level {
   public:
    explicit Level(TokenStream& tokens);
    ~Level() { --tokens_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    TokenStream& tokens_;
  };

 private:
  bool is(TokenKind kind, std::string_view text) const {
    return peek().kind == kind && peek().text == text;
  }
  bool advance();

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
  std::optional<Error> error_;
};

}  // namespace aorta::engine::jinja
