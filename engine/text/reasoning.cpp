#include "engine/text/reasoning.hpp"

#include <utility>

namespace aorta::engine {
namespace {

constexpr std::string_view space = " \t\r\n";

bool is_space(char byte) { return space.find(byte) != std::string_view::npos; }

}  // namespace

Reasoning reasoning_after(std::string_view prompt) {
  prompt = prompt.substr(0, prompt.find_last_not_of(space) + 1);
  return prompt.ends_with(think_tag) ? Reasoning::open : Reasoning::possible;
}

ReasoningSplitter::ReasoningSplitter(Reasoning begin)
    : begin_(begin),
      phase_(begin == Reasoning::never ? Phase::text : Phase::before),
      began_(begin == Reasoning::open),
      end_think_({std::string(end_think_tag)}) {}

std::string ReasoningSplitter::feed(std::string_view piece) {
  std::string text;
  for (const char byte : piece) {
    switch (phase_) {
      case Phase::before:
        feed_before(byte, text);
        break;
      case Phase::thinking:
        feed_thinking(byte);
        break;
      case Phase::text:
        if (trimming_ && is_space(byte)) break;
        trimming_ = false;
        text += byte;
        break;
    }
  }
  return text;
}

std::string ReasoningSplitter::finish() {
  std::string text;
  if (phase_ == Phase::before) text = leave_before();
  if (phase_ == Phase::thinking) {
    release(end_think_tag.substr(0, end_think_.held_bytes()));
    phase_ = Phase::text;
  }
  return text;
}

void ReasoningSplitter::feed_before(char byte, std::string& text) {
  if (think_matched_ == 0 && is_space(byte)) {
    space_ += byte;
  } else if (byte != think_tag[think_matched_]) {
    text += leave_before();
    text += feed({&byte, 1});
  } else if (++think_matched_ == think_tag.size()) {
    space_.clear();
    begin_thinking();
  }
}

// The answer does not begin with <think>. Returns what was withheld, if it is text.
std::string ReasoningSplitter::leave_before() {
  std::string head = std::exchange(space_, {}) + std::string(think_tag.substr(0, think_matched_));
  if (begin_ == Reasoning::possible) {
    phase_ = Phase::text;
    return head;
  }
  begin_thinking();
  return feed(head);  // thinking: it has no </think>
}

void ReasoningSplitter::begin_thinking() {
  phase_ = Phase::thinking;
  began_ = true;
  trimming_ = true;
}

void ReasoningSplitter::feed_thinking(char byte) {
  if (trimming_ && is_space(byte)) return;
  trimming_ = false;
  const std::size_t held = end_think_.held_bytes();
  if (end_think_.feed(byte) > 0) {
    space_.clear();
    phase_ = Phase::text;
    trimming_ = true;
    return;
  }
  const std::size_t holds = end_think_.held_bytes();
  if (holds > held) return;
  if (held > 0) release(end_think_tag.substr(0, held));  // it was no tag
  if (holds > 0) return;
  if (is_space(byte)) {
    space_ += byte;
  } else {
    release({&byte, 1});
  }
}

// `piece` is thinking, and so is the space before it.
void ReasoningSplitter::release(std::string_view piece) {
  reasoning_ += std::exchange(space_, {});
  reasoning_ += piece;
}

}  // namespace aorta::engine
