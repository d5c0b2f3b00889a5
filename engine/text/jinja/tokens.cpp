#include "engine/text/jinja/tokens.hpp"

#include <algorithm>

#include "engine/model/gguf_reader.hpp"

namespace aorta::engine::jinja {

const Token& TokenStream::peek(std::size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

bool TokenStream::advance() {
  if (at_ + 1 < tokens_.size()) ++at_;
  return true;
}

Token TokenStream::next() {
  Token token = peek();
  advance();
  return token;
}

void TokenStream::expect_op(std::string_view text) {
  if (!accept_op(text)) fail_expected("'" + std::string(text) + "'");
}

void TokenStream::expect_name(std::string_view text) {
  if (!accept_name(text)) fail_expected("'" + std::string(text) + "'");
}

void TokenStream::expect(TokenKind kind, std::string_view what) {
  if (peek().kind == kind) {
    advance();
  } else {
    fail_expected(what);
  }
}

std::string TokenStream::expect_identifier() {
  if (peek().kind == TokenKind::name) return next().text;
  fail_expected("a name");
  return {};
}

void TokenStream::fail_expected(std::string_view what) {
  std::string found = "'" + printable(peek().text) + "'";
  switch (peek().kind) {
    case TokenKind::output_begin:
      found = "{{";
      break;
    case TokenKind::output_end:
      found = "}}";
      break;
    case TokenKind::block_begin:
      found = "{%";
      break;
    case TokenKind::block_end:
      found = "%}";
      break;
    case TokenKind::end:
      found = "the end of the template";
      break;
    default:
      break;
  }
  fail(ErrorCode::invalid_argument, "expected " + std::string(what) + " before " + found);
}

void TokenStream::fail(ErrorCode code, const std::string& sentence) {
  if (!error_) {
    error_ = Error{code, "chat template line " + std::to_string(line()) + ": " + sentence};
  }
  at_ = tokens_.size() - 1;
}

TokenStream::Level::Level(TokenStream& tokens) : tokens_(tokens) {
  if (++tokens.depth_ > deepest) {
    tokens.fail(ErrorCode::unsupported,
                "nested deeper than " + std::to_string(deepest) + " levels");
  }
}

}  // namespace aorta::engine::jinja
