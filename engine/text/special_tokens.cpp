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
                     [](const Entry& a, const Entry& b) { return a.text.size() > b.text.size(); });
  }
}

SpecialTokens::Match SpecialTokens::find(std::string_view text, std::size_t from) const {
  for (std::size_t at = text.find_first_of(first_bytes_, from); at != std::string_view::npos;
       at = text.find_first_of(first_bytes_, at + 1)) {
    const std::string_view rest = text.substr(at);
    for (const Entry& entry : by_first_byte_[static_cast<unsigned char>(rest[0])]) {
      if (rest.starts_with(entry.text)) return {at, entry.text.size(), entry.id};
    }
  }
  return {};
}

}  // namespace aorta::engine
