#pragma once
// Lines from stdin, typed or piped. A terminal's own line editing does; Ctrl-C is told apart.
#include <string>

namespace aorta::services {

struct Line {
  enum class Kind { text, end, interrupted };
  Kind kind;
  std::string text;
};

class LineReader {
 public:
  // The next line, without its end. The prompt goes to stderr.
  Line read(const std::string& prompt);

 private:
  std::string take(std::size_t size);
  std::string unread_;
};

}  // namespace aorta::services
