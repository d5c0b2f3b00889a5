#pragma once
// UTF-8 decoding that never trusts its input, and the character classes that tokenizers split by.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace aorta::engine {

enum class Utf8Status : std::uint8_t {
  valid,       // a whole character
  incomplete,  // a proper beginning of one: more bytes may complete it
  broken,      // no character begins with these bytes
};

struct Utf8Char {
  Utf8Status status = Utf8Status::broken;
  // Bytes of the character; of the whole rest when incomplete; when broken, of the longest proper
  // beginning, at least 1: what Unicode (3.9, "maximal subpart") replaces by a single U+FFFD.
  std::uint32_t length = 0;
  std::uint32_t codepoint = 0;  // when valid
};

// The character at the beginning of `bytes`, which is not empty.
Utf8Char decode_utf8(std::string_view bytes);
bool is_utf8(std::string_view bytes);
void append_utf8(std::string& out, std::uint32_t codepoint);

inline constexpr std::string_view replacement_character = "\xEF\xBF\xBD";  // U+FFFD

enum class CharClass : std::uint8_t {
  letter,   // \p{L}
  number,   // \p{N}
  space,    // \s but line breaks
  newline,  // \r and \n
  other,    // everything else, broken bytes included
};

CharClass char_class(std::uint32_t codepoint);

}  // namespace aorta::engine
