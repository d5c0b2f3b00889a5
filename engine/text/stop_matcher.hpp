#pragma once
// Looks for stop strings in a growing text, a byte at a time (Knuth, Morris, Pratt), so what it
// finds cannot depend on how the text was cut.
#include <cstddef>
#include <string>
#include <vector>

namespace aorta::engine {

class StopMatcher {
 public:
  // Ignores empty strings, and those that are not UTF-8: they cannot occur in a text.
  explicit StopMatcher(const std::vector<std::string>& stop_strings);

  // Feeds the next byte. The length of the stop string that ends with it, the longest one of
  // several; 0 when none does.
  std::size_t feed(char byte);
  // How many of the last bytes could still become a stop string.
  std::size_t held_bytes() const;

 private:
  struct Stop {
    std::string text;
    std::vector<std::size_t> border;  // of text[0..i]: longest proper prefix that is a suffix
    std::size_t matched = 0;          // longest prefix of text that is a suffix of what was fed
  };
  static std::size_t extend(const Stop& stop, std::size_t matched, char byte);
  std::vector<Stop> stops_;
};

}  // namespace aorta::engine
