#include "engine/text/joins.hpp"

namespace aorta::engine {
namespace {

std::uint8_t byte_at(std::string_view text, std::size_t at) {
  return static_cast<std::uint8_t>(text[at]);
}

bool continues(std::uint8_t byte) { return (byte & 0xC0) == 0x80; }

// What a lead byte announces; 0 when it is none.
std::size_t announced(std::uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC0 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  return lead >= 0xF0 && lead < 0xF8 ? 4 : 0;
}

// From `at` to before the next byte that continues nothing.
std::size_t chunk_end(std::string_view text, std::size_t at) {
  ++at;
  while (at < text.size() && continues(byte_at(text, at))) ++at;
  return at;
}

bool is_whole(std::string_view chunk) { return announced(byte_at(chunk, 0)) == chunk.size(); }

std::uint32_t number_of(std::string_view chunk) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < chunk.size(); ++i) number = number << 8 | byte_at(chunk, i);
  return number;
}

// Which sides of a place are only a byte: the last of the left one, the first of the right one.
constexpr std::uint32_t left_byte = 1, right_byte = 2;

}  // namespace

std::uint32_t Joins::place_of(std::uint32_t left, std::uint32_t right, std::uint32_t sides) {
  const std::uint64_t both = std::uint64_t{left} << 32 | right;
  return static_cast<std::uint32_t>((both + sides) * 0x9E3779B97F4A7C15ull >> 44);
}

void Joins::add(std::string_view token) {
  if (token.empty()) return;
  std::size_t begin = 0, middle = chunk_end(token, 0);
  while (middle < token.size()) {
    const std::size_t end = chunk_end(token, middle);
    const std::string_view left = token.substr(begin, middle - begin);
    const std::string_view right = token.substr(middle, end - middle);
    const bool whole_left = is_whole(left), whole_right = is_whole(right);
    const std::uint32_t place =
        place_of(whole_left ? number_of(left) : byte_at(left, left.size() - 1),
                 whole_right ? number_of(right) : byte_at(right, 0),
                 (whole_left ? 0 : left_byte) | (whole_right ? 0 : right_byte));
    bits_[place >> 6] |= 1ull << (place & 63);
    begin = middle;
    middle = end;
  }
}

std::size_t Joins::part(std::string_view text) const {
  std::size_t begin = 0, middle = chunk_end(text, 0);
  while (middle < text.size()) {
    const std::size_t end = chunk_end(text, middle);
    const std::string_view left = text.substr(begin, middle - begin);
    const std::string_view right = text.substr(middle, end - middle);
    if (is_whole(left) && is_whole(right)) {  // around broken bytes nothing is known
      const std::uint32_t first = number_of(left), second = number_of(right);
      const std::uint32_t last_byte = byte_at(left, left.size() - 1), lead = byte_at(right, 0);
      if (!has(place_of(first, second, 0)) && !has(place_of(last_byte, second, left_byte)) &&
          !has(place_of(first, lead, right_byte)) &&
          !has(place_of(last_byte, lead, left_byte | right_byte))) {
        return middle;
      }
    }
    begin = middle;
    middle = end;
  }
  return text.size();
}

}  // namespace aorta::engine
