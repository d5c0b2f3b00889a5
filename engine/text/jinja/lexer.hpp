#pragma once
// Cuts a template into text and tokens, with the white space rules that chat templates are written
// for (trim_blocks and lstrip_blocks on, one newline at the end of the template dropped).
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace aorta::engine::jinja {

enum class TokenKind : std::uint8_t {
  text,          // what is printed as it stands
  output_begin,  // {{
  output_end,    // }}
  block_begin,   // {%
  block_end,     // %}
  name,
  integer,
  real,
  string,  // without quotes, escapes resolved
  op,
  end,
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::string text;
  int line = 0;
};

// Ends with a token of kind `end`. Errors: invalid_argument, naming the line.
Result<std::vector<Token>> lex(std::string_view source);

}  // namespace aorta::engine::jinja
