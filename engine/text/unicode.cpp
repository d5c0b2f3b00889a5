#include "engine/text/unicode.hpp"

#include <utf8proc.h>

#include <vector>

namespace aorta::engine {
namespace {

// Continuation bytes after a lead byte, and the range that the first of them must lie in: overlong
// forms, surrogates and code points above U+10FFFF have none (Unicode, table 3-7).
struct Lead {
  std::uint8_t continuations = 0;
  std::uint8_t first_low = 0x80, first_high = 0xBF;
};

constexpr Lead lead_of(unsigned char byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {1};
  if (byte == 0xE0) return {2, 0xA0, 0xBF};
  if (byte == 0xED) return {2, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {2};
  if (byte == 0xF0) return {3, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {3};
  if (byte == 0xF4) return {3, 0x80, 0x8F};
  return {};
}

bool is_white_space(std::uint32_t c) {
  return c == ' ' || (c >= 0x09 && c <= 0x0D) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

CharClass classify(std::uint32_t codepoint) {
  if (codepoint == '\r' || codepoint == '\n') return CharClass::newline;
  if (is_white_space(codepoint)) return CharClass::space;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(codepoint))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharClass::letter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharClass::number;
    default:
      return CharClass::other;
  }
}

constexpr std::size_t tabled = 1 << 16;  // the basic plane: nearly all that comes

std::vector<CharClass> basic_classes() {
  std::vector<CharClass> classes(tabled);
  for (std::uint32_t c = 0; c < tabled; ++c) classes[c] = classify(c);
  return classes;
}

}  // namespace

Utf8Char decode_utf8(std::string_view bytes) {
  const auto byte_at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char first = byte_at(0);
  if (first < 0x80) return {Utf8Status::valid, 1, first};
  const Lead lead = lead_of(first);
  if (lead.continuations == 0) return {Utf8Status::broken, 1};
  std::uint32_t codepoint = first & (0x3F >> lead.continuations);
  for (std::uint32_t i = 1; i <= lead.continuations; ++i) {
    if (i == bytes.size()) return {Utf8Status::incomplete, i};
    const unsigned char low = i == 1 ? lead.first_low : 0x80;
    const unsigned char high = i == 1 ? lead.first_high : 0xBF;
    if (byte_at(i) < low || byte_at(i) > high) return {Utf8Status::broken, i};
    codepoint = codepoint << 6 | (byte_at(i) & 0x3F);
  }
  return {Utf8Status::valid, lead.continuations + 1u, codepoint};
}

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const Utf8Char c = decode_utf8(bytes);
    if (c.status != Utf8Status::valid) return false;
    bytes.remove_prefix(c.length);
  }
  return true;
}

void append_utf8(std::string& out, std::uint32_t codepoint) {
  utf8proc_uint8_t bytes[4];
  const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(codepoint), bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

CharClass char_class(std::uint32_t codepoint) {
  static const std::vector<CharClass> basic = basic_classes();
  return codepoint < tabled ? basic[codepoint] : classify(codepoint);
}

}  // namespace aorta::engine
