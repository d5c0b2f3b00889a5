#pragma once
// Speculation by prompt lookup (Saxena 2023): an answer often repeats its prompt or itself, so the
// ids that followed the last ones before are guessed to follow them again. A guess costs a position
// of a step; it is kept only where it is the id that would be chosen anyway.
#include <cstdint>
#include <span>
#include <vector>

#include "engine/batch/step_costs.hpp"
#include "engine/engine.hpp"

namespace aorta::engine {

// Appends to `ids` at most so many guesses: what followed the latest earlier place of its last
// three ids, or of its last two. Returns how many.
std::uint32_t guess_next(std::vector<TokenId>& ids, std::uint32_t most);

// How often a sequence's guesses held lately, also those that were not worth computing.
class DraftRecord {
 public:
  double rate() const { return (kept_ + 1) / (tried_ + 2); }
  void add(std::uint32_t tried, std::uint32_t kept);

 private:
  double tried_ = 0, kept_ = 0;
};

// Whether guesses are worth their time, position by position of one step.
class DraftBudget {
 public:
  // A step that does `work` for `tokens` tokens so far, and may compute `most` positions.
  DraftBudget(const StepCosts& costs, const StepWork& work, std::uint32_t tokens,
              std::uint32_t most);
  // How many of a sequence's guesses, at most so many, bring more tokens than their time would;
  // they see `context` positions.
  std::uint32_t take(double rate, std::uint32_t guesses, std::uint32_t context);

 private:
  const StepCosts& costs_;
  StepWork work_;
  std::uint32_t most_;
  double tokens_;  // expected of the step
};

}  // namespace aorta::engine
