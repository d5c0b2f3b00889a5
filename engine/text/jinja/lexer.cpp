#include "engine/text/jinja/lexer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "engine/model/gguf_reader.hpp"
#include "engine/text/unicode.hpp"

namespace aorta::engine::jinja {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// All line ends as \n; the last one dropped.
std::string normalise(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
    out += source[i] == '\r' ? '\n' : source[i];
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalise(source)) {}

  Result<std::vector<Token>> run() {
    while (!error_ && at_ < source_.size()) lex_text();
    if (error_) return *error_;
    push(TokenKind::end, "");
    return std::move(tokens_);
  }

 private:
  bool starts_with(std::string_view text) const {
    return std::string_view(source_).substr(at_).starts_with(text);
  }
  void push(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
  void fail(std::string_view what) {
    if (!error_) {
      error_ = Error{ErrorCode::invalid_argument,
                     "chat template line " + std::to_string(line_) + ": " + std::string(what)};
    }
    at_ = source_.size();
  }
  void advance(std::size_t count) {
    const auto from = source_.begin() + static_cast<std::ptrdiff_t>(at_);
    line_ += static_cast<int>(std::count(from, from + static_cast<std::ptrdiff_t>(count), '\n'));
    at_ += count;
  }
  void skip_space() {
    std::size_t end = at_;
    while (end < source_.size() && is_space(source_[end])) ++end;
    advance(end - at_);
  }

  void lex_text();
  void lex_comment();
  void lex_tag(std::string_view closing, TokenKind end_kind);
  bool lex_closing(std::string_view closing, TokenKind end_kind);
  void lex_token();
  void lex_name();
  void lex_number();
  void lex_string();
  void lex_escape(std::string& out);
  void lex_operator();
  void after_tag(char modifier, bool is_output);

  const std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // nothing but a newline lies before at_
  int open_brackets_ = 0;      // within a tag: }} closes it only when none is open
  std::vector<Token> tokens_;
  std::optional<Error> error_;
};

// Text up to the next tag, less what its white space control takes away; then that tag.
void Lexer::lex_text() {
  std::size_t tag = at_;
  for (;; ++tag) {
    tag = source_.find('{', tag);
    if (tag == std::string::npos || tag + 1 == source_.size()) {
      push(TokenKind::text, source_.substr(at_));
      at_ = source_.size();
      return;
    }
    if (source_[tag + 1] == '{' || source_[tag + 1] == '%' || source_[tag + 1] == '#') break;
  }
  const char kind = source_[tag + 1];
  const char modifier = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
  std::string text = source_.substr(at_, tag - at_);
  if (modifier == '-') {
    while (!text.empty() && is_space(text.back())) text.pop_back();
  } else if (modifier != '+' && kind != '{') {
    const std::size_t newline = text.rfind('\n');
    const std::size_t line_start = newline == std::string::npos ? 0 : newline + 1;
    const bool blank =
        std::all_of(text.begin() + static_cast<std::ptrdiff_t>(line_start), text.end(), is_space);
    if (blank && (line_start > 0 || line_starting_)) text.resize(line_start);
  }
  if (!text.empty()) push(TokenKind::text, std::move(text));
  advance(tag - at_);
  if (kind == '#') return lex_comment();
  advance(modifier == '-' || modifier == '+' ? 3 : 2);
  push(kind == '{' ? TokenKind::output_begin : TokenKind::block_begin, "");
  if (kind == '{') {
    lex_tag("}}", TokenKind::output_end);
  } else {
    lex_tag("%}", TokenKind::block_end);
  }
}

void Lexer::lex_comment() {
  const std::size_t end = source_.find("#}", at_ + 2);
  if (end == std::string::npos) return fail("a comment {# is never closed");
  const char modifier = source_[end - 1];
  advance(end + 2 - at_);
  after_tag(modifier, false);
}

void Lexer::lex_tag(std::string_view closing, TokenKind end_kind) {
  open_brackets_ = 0;
  for (;;) {
    skip_space();
    if (error_) return;
    if (at_ == source_.size())
      return fail("a tag is never closed; expected " + std::string(closing));
    if (open_brackets_ == 0 && lex_closing(closing, end_kind)) return;
    lex_token();
  }
}

bool Lexer::lex_closing(std::string_view closing, TokenKind end_kind) {
  char modifier = '\0';
  if ((source_[at_] == '-' || source_[at_] == '+') &&
      std::string_view(source_).substr(at_ + 1).starts_with(closing)) {
    modifier = source_[at_];
    ++at_;
  }
  if (!starts_with(closing)) return false;
  push(end_kind, "");
  advance(closing.size());
  after_tag(modifier, end_kind == TokenKind::output_end);
  return true;
}

// -%} takes all white space after the tag; a block or comment without + its line's end.
void Lexer::after_tag(char modifier, bool is_output) {
  line_starting_ = false;
  if (modifier == '-') {
    const std::size_t before = at_;
    skip_space();
    line_starting_ = at_ > before && source_[at_ - 1] == '\n';
  } else if (!is_output && modifier != '+' && at_ < source_.size() && source_[at_] == '\n') {
    advance(1);
    line_starting_ = true;
  }
}

void Lexer::lex_token() {
  const char c = source_[at_];
  if (is_name_start(c)) return lex_name();
  if (is_digit(c)) return lex_number();
  if (c == '\'' || c == '"') return lex_string();
  lex_operator();
}

void Lexer::lex_name() {
  std::size_t end = at_;
  while (end < source_.size() && (is_name_start(source_[end]) || is_digit(source_[end]))) ++end;
  push(TokenKind::name, source_.substr(at_, end - at_));
  at_ = end;
}

void Lexer::lex_number() {
  const auto digits = [&](std::size_t from) {
    while (from < source_.size() && is_digit(source_[from])) ++from;
    return from;
  };
  std::size_t end = digits(at_);
  const bool real = end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1]);
  if (real) end = digits(end + 1);
  push(real ? TokenKind::real : TokenKind::integer, source_.substr(at_, end - at_));
  at_ = end;
}

void Lexer::lex_string() {
  const char quote = source_[at_];
  const int first_line = line_;
  std::string text;
  advance(1);
  while (at_ < source_.size() && source_[at_] != quote) {
    if (source_[at_] == '\\' && at_ + 1 < source_.size()) {
      lex_escape(text);
    } else {
      text += source_[at_];
      advance(1);
    }
  }
  if (at_ == source_.size()) {
    line_ = first_line;
    return fail("a string is never closed");
  }
  advance(1);
  push(TokenKind::string, std::move(text));
}

// Python's escapes; an unknown one stays as it is written.
void Lexer::lex_escape(std::string& out) {
  const char c = source_[at_ + 1];
  constexpr std::string_view simple = "ntrabfv0\\'\"", meaning{"\n\t\r\a\b\f\v\0\\'\"", 11};
  const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits > 0) {
    std::uint32_t codepoint = 0;
    const char* begin = source_.data() + at_ + 2;
    const char* end = source_.data() + std::min(at_ + 2 + digits, source_.size());
    const auto parsed = std::from_chars(begin, end, codepoint, 16);
    const bool surrogate = codepoint >= 0xD800 && codepoint <= 0xDFFF;
    if (parsed.ptr != begin + digits || codepoint > 0x10FFFF || surrogate) {
      return fail("a string has a broken \\" + std::string(1, c) + " escape");
    }
    append_utf8(out, codepoint);
    at_ += 2 + digits;
    return;
  }
  if (c == '\n') {  // a line continued
  } else if (const std::size_t i = simple.find(c); i != std::string_view::npos) {
    out += meaning[i];
  } else {
    out += '\\';
    out += c;
  }
  advance(2);
}

void Lexer::lex_operator() {
  static constexpr std::array<std::string_view, 25> operators = {
      "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
      "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ","};
  for (const std::string_view op : operators) {
    if (!starts_with(op)) continue;
    if (op == "(" || op == "[" || op == "{") ++open_brackets_;
    if ((op == ")" || op == "]" || op == "}") && --open_brackets_ < 0) {
      return fail("unexpected " + std::string(op));
    }
    push(TokenKind::op, std::string(op));
    at_ += op.size();
    return;
  }
  fail("unexpected character '" + printable(source_.substr(at_, 1)) + "'");
}

}  // namespace

Result<std::vector<Token>> lex(std::string_view source) { return Lexer(source).run(); }

}  // namespace aorta::engine::jinja
