#include "actors/fronts/event_id.hpp"

#include <charconv>

#include "base/delivered_hash.hpp"

namespace aorta::fronts {
namespace {

constexpr std::size_t hash_digits = 16;

// Takes a part off the front of `text`.
std::optional<admission::Cursor> take_part(std::string_view& text) {
  admission::Cursor cursor;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), cursor.next.value);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  cursor.end_text = text.starts_with('+');
  if (cursor.end_text) text.remove_prefix(1);
  if (!text.starts_with('-')) return cursor;
  cursor.delivered_hash = parse_hash(text.substr(1, hash_digits));
  if (!cursor.delivered_hash) return std::nullopt;
  text.remove_prefix(1 + hash_digits);
  return cursor;
}

}  // namespace

std::string event_id_part(const admission::Cursor& cursor) {
  std::string part = std::to_string(cursor.next.value);
  if (cursor.end_text) part += '+';
  if (cursor.delivered_hash) part += "-" + hash_text(*cursor.delivered_hash);
  return part;
}

std::optional<std::vector<admission::Cursor>> parse_event_id(std::string_view text) {
  std::vector<admission::Cursor> cursors;
  while (!text.empty()) {
    const auto cursor = take_part(text);
    if (!cursor) return std::nullopt;
    cursors.push_back(*cursor);
    if (text.empty()) break;
    if (text.front() != ',' || text.size() == 1) return std::nullopt;
    text.remove_prefix(1);
  }
  return cursors;
}

}  // namespace aorta::fronts
