#pragma once
// Tells a model's thinking from its answer, in a growing text:
//
//   [space] "<think>" [space] thinking [space] "</think>" [space] text
//
// By text, not by token: equal texts are split equally, however they were cut into ids.
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/text/stop_matcher.hpp"

namespace aorta::engine {

// How an answer begins. The numbers stay: they may be kept with a request.
enum class Reasoning : std::uint8_t {
  never = 0,     // all is text: a raw completion, or a model that does not think
  possible = 1,  // thinking, if the answer begins with <think>; else all is text
  open = 2,      // the prompt has opened <think>: thinking until </think>
};

// After the prompt of a model that thinks: open when it ends with <think> and space, else possible.
Reasoning reasoning_after(std::string_view prompt);

inline constexpr std::string_view think_tag = "<think>", end_think_tag = "</think>";

class ReasoningSplitter {
 public:
  explicit ReasoningSplitter(Reasoning begin);

  // Feeds the next piece. Returns what of it, and of what was withheld before, belongs to the text.
  std::string feed(std::string_view piece);
  // No more comes: what was withheld is thinking or, when none began, text. Thinking that was never
  // ended stays thinking.
  std::string finish();

  const std::string& reasoning() const { return reasoning_; }  // it only grows
  bool began() const { return began_; }                        // there is thinking, be it empty
  bool in_text() const { return phase_ == Phase::text; }       // and so is all that follows

 private:
  enum class Phase : std::uint8_t { before, thinking, text };
  void feed_before(char byte, std::string& text);
  void feed_thinking(char byte);
  void begin_thinking();
  std::string leave_before();
  void release(std::string_view piece);

  const Reasoning begin_;
  Phase phase_;
  bool began_;
  bool trimming_ = false;          // nothing but space since a tag
  std::string space_;              // withheld: it vanishes if a tag follows
  std::size_t think_matched_ = 0;  // before: bytes of <think> after that space, withheld too
  StopMatcher end_think_;          // thinking: holds bytes of </think> after that space
  std::string reasoning_;
};

}  // namespace aorta::engine
