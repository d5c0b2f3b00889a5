#pragma once
// GPT-2's printable alphabet for bytes: vocabularies spell tokens in it, so that each byte is one
// visible character (https://github.com/openai/gpt-2, bytes_to_unicode).
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace aorta::engine {

// The code point that spells a byte: itself where it is printable Latin-1, else 256, 257 ...
std::uint32_t letter_of_byte(std::uint8_t byte);
std::string spell_byte(std::uint8_t byte);  // the same, as UTF-8
// The bytes that a vocabulary's spelling stands for; characters outside the alphabet stay.
void append_bytes_of_spelling(std::string& bytes, std::string_view spelling);

}  // namespace aorta::engine
