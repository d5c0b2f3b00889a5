#include "engine/text/byte_alphabet.hpp"

#include "engine/text/unicode.hpp"

namespace aorta::engine {
namespace {

constexpr bool is_printable(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::uint32_t first_stand_in = 256;

struct Alphabet {
  std::array<std::uint32_t, 256> letter{};
  std::array<int, 512> byte{};  // by letter; -1 outside the alphabet
  constexpr Alphabet() {
    for (int& b : byte) b = -1;
    std::uint32_t stand_in = first_stand_in;
    for (unsigned b = 0; b < 256; ++b) {
      letter[b] = is_printable(b) ? b : stand_in++;
      byte[letter[b]] = static_cast<int>(b);
    }
  }
};

constexpr Alphabet alphabet;

}  // namespace

std::uint32_t letter_of_byte(std::uint8_t byte) { return alphabet.letter[byte]; }

std::string spell_byte(std::uint8_t byte) {
  std::string spelling;
  append_utf8(spelling, letter_of_byte(byte));
  return spelling;
}

void append_bytes_of_spelling(std::string& bytes, std::string_view spelling) {
  while (!spelling.empty()) {
    const auto first = static_cast<unsigned char>(spelling[0]);
    if (first < 0x80 && is_printable(first)) {  // nearly all
      bytes += spelling[0];
      spelling.remove_prefix(1);
      continue;
    }
    const Utf8Char c = decode_utf8(spelling);
    const bool known = c.status == Utf8Status::valid && c.codepoint < alphabet.byte.size() &&
                       alphabet.byte[c.codepoint] >= 0;
    if (known) {
      bytes += static_cast<char>(alphabet.byte[c.codepoint]);
    } else {
      bytes += spelling.substr(0, c.length);
    }
    spelling.remove_prefix(c.length);
  }
}

}  // namespace aorta::engine
