#include "engine/text/special_tokens.hpp"

#include <algorithm>

namespace aorta::engine {

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary, bool with_control) {
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const TokenType type = vocabulary.type(id);
    const bool control = type == TokenType::control || type == TokenType::unknown;
    const std::string_view text = vocabulary.bytes(id);
    if (text.empty() || !(type == TokenType::user_defined || (control && with_control))) continue;
    by_first_byte_[static_cast<unsigned char>(text[0])].push_back({text, id});
  }
  for (std::size_t byte = 0; byte < by_first_byte_.size(); ++byte) {
    auto& entries = by_first_byte_[byte];
    if (!entries.empty()) first_bytes_ += static_cast<char>(byte);
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.text < b.text; });
  }
}

// Narrows the entries down byte by byte: a vocabulary may have hundreds that begin alike.
std::optional<SpecialTokens::Entry> SpecialTokens::longest_prefix_of(std::string_view text) const {
  const auto& entries = by_first_byte_[static_cast<unsigned char>(text[0])];
  auto begin = entries.begin(), end = entries.end();
  std::optional<Entry> longest;
  for (std::size_t length = 1; begin != end; ++length) {
    // Of those that begin with these bytes, the one that ends here comes first.
    if (begin->text.size() == length) longest = *begin;
    while (begin != end && begin->text.size() == length) ++begin;
    if (length == text.size()) break;
    const auto byte = static_cast<unsigned char>(text[length]);
    const auto at = [&](const Entry& e) { return static_cast<unsigned char>(e.text[length]); };
    begin = std::partition_point(begin, end, [&](const Entry& e) { return at(e) < byte; });
    end = std::partition_point(begin, end, [&](const Entry& e) { return at(e) == byte; });
  }
  return longest;
}

std::size_t SpecialTokens::next_first_byte(std::string_view text, std::size_t from) const {
  if (first_bytes_.empty()) return text.size();
  if (first_bytes_.size() == 1) return std::min(text.find(first_bytes_[0], from), text.size());
  while (from < text.size() && by_first_byte_[static_cast<unsigned char>(text[from])].empty()) {
    ++from;
  }
  return from;
}

SpecialTokens::Match SpecialTokens::find(std::string_view text, std::size_t from) const {
  for (std::size_t at = next_first_byte(text, from); at < text.size();
       at = next_first_byte(text, at + 1)) {
    if (const auto entry = longest_prefix_of(text.substr(at))) {
      return {at, entry->text.size(), entry->id};
    }
  }
  return {};
}

}  // namespace aorta::engine
