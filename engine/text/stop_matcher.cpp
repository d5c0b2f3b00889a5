#include "engine/text/stop_matcher.hpp"

#include <algorithm>

#include "engine/text/unicode.hpp"

namespace aorta::engine {

StopMatcher::StopMatcher(const std::vector<std::string>& stop_strings) {
  for (const std::string& text : stop_strings) {
    if (text.empty() || !is_utf8(text)) continue;
    Stop stop{text, {0}};
    for (std::size_t i = 1; i < text.size(); ++i) {
      stop.border.push_back(extend(stop, stop.border[i - 1], text[i]));
    }
    stops_.push_back(std::move(stop));
  }
}

std::size_t StopMatcher::extend(const Stop& stop, std::size_t matched, char byte) {
  while (matched > 0 && (matched == stop.text.size() || stop.text[matched] != byte)) {
    matched = stop.border[matched - 1];
  }
  return stop.text[matched] == byte ? matched + 1 : 0;
}

std::size_t StopMatcher::feed(char byte) {
  std::size_t complete = 0;
  for (Stop& stop : stops_) {
    stop.matched = extend(stop, stop.matched, byte);
    if (stop.matched == stop.text.size()) complete = std::max(complete, stop.matched);
  }
  return complete;
}

std::size_t StopMatcher::held_bytes() const {
  std::size_t held = 0;
  for (const Stop& stop : stops_) held = std::max(held, stop.matched);
  return held;
}

}  // namespace aorta::engine
