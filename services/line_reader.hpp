#pragma once
// Lines from stdin. On a terminal they can be edited, and the arrows bring back what was typed
// before (libedit); else they come as they are piped.
#include <memory>
#include <string>

namespace aorta::services {

struct Line {
  enum class Kind { text, end, interrupted };  // interrupted: Ctrl-C
  Kind kind;
  std::string text;
};

class LineReader {
 public:
  LineReader();
  ~LineReader();
  // The next line, without its end. Only a terminal is shown the prompt.
  Line read(const std::string& prompt);

 private:
  struct Editor;
  Line read_piped();
  std::unique_ptr<Editor> editor_;  // none in a pipe
  std::string unread_;
};

}  // namespace aorta::services
