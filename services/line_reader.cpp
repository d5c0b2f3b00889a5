#include "services/line_reader.hpp"

#include <histedit.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <utility>

#include "services/interrupts.hpp"

namespace aorta::services {
namespace {

constexpr int remembered_lines = 1000;

Line trimmed(std::string text) {
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return {Line::Kind::text, std::move(text)};
}

}  // namespace

struct LineReader::Editor {
  Editor() : lines(history_init()), edit(el_init("aorta", stdin, stderr, stderr)) {
    HistEvent event;
    history(lines, &event, H_SETSIZE, remembered_lines);
    history(lines, &event, H_SETUNIQUE, 1);
    el_set(edit, EL_CLIENTDATA, this);
    el_set(edit, EL_PROMPT, &shown_prompt);
    el_set(edit, EL_EDITOR, "emacs");
    el_set(edit, EL_HIST, history, lines);
    el_set(edit, EL_GETCFN, &next_character);
  }
  ~Editor() {
    el_end(edit);
    history_end(lines);
  }

  Line read() {
    interrupted = false;
    int size = 0;
    // Before the prompt is shown: a Ctrl-D that came between would mean nothing to the editor.
    el_set(edit, EL_PREP_TERM, 1);
    const char* text = el_gets(edit, &size);
    if (interrupted) return {Line::Kind::interrupted, {}};
    if (text == nullptr || size <= 0) return {Line::Kind::end, {}};
    HistEvent event;
    if (size > 1) history(lines, &event, H_ENTER, text);
    return trimmed(std::string(text, static_cast<std::size_t>(size)));
  }

  static Editor& of(EditLine* edit) {
    void* self = nullptr;
    el_get(edit, EL_CLIENTDATA, &self);
    return *static_cast<Editor*>(self);
  }
  static char* shown_prompt(EditLine* edit) { return of(edit).prompt.data(); }

  // libedit's own goes on after a first signal, and so would not see Ctrl-C.
  static int next_character(EditLine* edit, wchar_t* character) {
    std::mbstate_t state{};
    for (;;) {
      char byte = 0;
      const ssize_t size = interruptible_read(STDIN_FILENO, &byte, 1);
      if (size < 0) of(edit).interrupted = errno == EINTR;
      if (size <= 0) return static_cast<int>(size);
      const std::size_t taken = std::mbrtowc(character, &byte, 1, &state);
      if (taken == static_cast<std::size_t>(-2)) continue;  // within a character
      if (taken != static_cast<std::size_t>(-1)) return 1;
      state = {};  // not a character here: what was typed is left out
    }
  }

  History* lines;
  EditLine* edit;
  std::string prompt;
  bool interrupted = false;
};

LineReader::LineReader() {
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDERR_FILENO) != 1) return;
  // Which bytes are one character: as the environment says, else as nearly everybody has it.
  if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1) {
    std::setlocale(LC_CTYPE, "C.UTF-8");
  }
  editor_ = std::make_unique<Editor>();
}

LineReader::~LineReader() = default;

Line LineReader::read(const std::string& prompt) {
  if (!editor_) return read_piped();
  editor_->prompt = prompt;
  return editor_->read();
}

Line LineReader::read_piped() {
  for (;;) {
    const std::size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      Line line = trimmed(unread_.substr(0, end));
      unread_.erase(0, end + 1);
      return line;
    }
    std::array<char, 4096> chunk;
    const ssize_t size = interruptible_read(STDIN_FILENO, chunk.data(), chunk.size());
    if (size < 0 && errno == EINTR) return {Line::Kind::interrupted, {}};
    if (size <= 0 && unread_.empty()) return {Line::Kind::end, {}};
    if (size <= 0) return trimmed(std::exchange(unread_, {}));  // a last line without an end
    unread_.append(chunk.data(), static_cast<std::size_t>(size));
  }
}

}  // namespace aorta::services
