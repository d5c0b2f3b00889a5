#pragma once
// What the batcher's tests share: sequences by number, and an answer computed by the plainest loop.
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "engine/engine.hpp"

namespace aorta::engine {

struct Answer {
  std::vector<TokenId> ids;  // a stop id included
  Finish finish = Finish::none;
  std::vector<std::optional<TokenLogprobs>> logprobs = {};
  bool operator==(const Answer&) const = default;
};

using Answers = std::map<SequenceKey, Answer>;

inline SequenceKey key_of(std::uint64_t number, std::uint32_t epoch = 1) {
  return {RequestId{0, number}, Epoch{epoch}};
}

inline Sequence make_sequence(std::uint64_t number, std::uint32_t prompt_tokens,
                              std::uint32_t max_tokens) {
  Sequence s;
  s.key = key_of(number);
  for (std::uint32_t i = 0; i < prompt_tokens; ++i) {
    s.ids.push_back(static_cast<TokenId>(1 + (number * 37 + i * 11) % 200));
  }
  s.prompt_tokens = prompt_tokens;
  s.max_tokens = max_tokens;
  s.stop_ids = {0};
  s.sampling.seed = number;
  if (number % 2 == 1) s.top_logprobs = static_cast<std::uint32_t>(number % 5);
  return s;
}

// The answer as the rules in engine.hpp say it, one row at a time and no batcher.
inline Answer undisturbed(const FakeOptions& options, Sequence s) {
  const auto runner = make_fake_runner(options);
  std::vector<std::uint32_t> blocks(options.context_tokens / block_tokens + 1);
  Answer answer;
  while (answer.finish == Finish::none) {
    RunnerRow row;
    row.ids = s.ids;
    row.count = static_cast<std::uint32_t>(s.ids.size());
    row.blocks = blocks;
    row.samples = 1;
    row.prompt_tokens = s.prompt_tokens;
    row.generated_index = static_cast<std::uint32_t>(s.ids.size()) - s.prompt_tokens;
    row.sampling = &s.sampling;
    row.stop_ids = s.stop_ids;
    row.min_tokens = s.min_tokens;
    row.top_logprobs = s.top_logprobs;
    Choice choice;
    runner->run({&row, 1}, {&choice, 1});
    const TokenId id = choice.id;
    answer.ids.push_back(id);
    answer.logprobs.push_back(choice.logprobs);
    bool stop = false;
    for (const TokenId stop_id : s.stop_ids) stop = stop || id == stop_id;
    if (stop) {
      answer.finish = Finish::stop;
      break;
    }
    s.ids.push_back(id);
    if (s.ids.size() - s.prompt_tokens == s.max_tokens || s.ids.size() == options.context_tokens) {
      answer.finish = Finish::length;
    }
  }
  return answer;
}

// Adds what a step generated; false when an index has a gap or comes twice.
inline bool collect(const StepReport& report, Answers& answers,
                    const std::map<SequenceKey, std::uint32_t>& first_index = {}) {
  for (const Generated& token : report.tokens) {
    Answer& answer = answers[token.key];
    const auto first = first_index.find(token.key);
    const std::uint32_t offset = first == first_index.end() ? 0 : first->second;
    if (token.index.value != offset + answer.ids.size()) return false;
    if (answer.finish != Finish::none) return false;
    answer.ids.push_back(token.id);
    answer.logprobs.push_back(token.logprobs);
    answer.finish = token.finish;
  }
  return true;
}

}  // namespace aorta::engine
