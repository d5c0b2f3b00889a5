#pragma once
// Finds tokens that are matched as a whole, before any pre-tokenizer runs: leftmost, then longest.
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "engine/text/vocabulary.hpp"

namespace aorta::engine {

class SpecialTokens {
 public:
  // Views into `vocabulary`, which must outlive this. `with_control`: control tokens too, not only
  // user-defined ones.
  SpecialTokens(const Vocabulary& vocabulary, bool with_control);

  struct Match {
    std::size_t start = std::string_view::npos;  // npos: none
    std::size_t length = 0;
    TokenId id = 0;
  };
  // The first match at or after `from`.
  Match find(std::string_view text, std::size_t from) const;

 private:
  struct Entry {
    std::string_view text;
    TokenId id = 0;
  };
  // Where one may begin, at or after `from`; the text's end when nowhere.
  std::size_t next_first_byte(std::string_view text, std::size_t from) const;
  std::optional<Entry> longest_prefix_of(std::string_view text) const;

  // Sorted by text, of equal ones the smaller id first.
  std::array<std::vector<Entry>, 256> by_first_byte_;
  std::string first_bytes_;  // those with entries
};

}  // namespace aorta::engine
