#include "engine/batch/draft.hpp"

namespace aorta::engine {

std::uint32_t guess_next(std::vector<TokenId>& ids, std::uint32_t most) {
  const std::size_t size = ids.size();
  if (size < 4 || most == 0) return 0;
  const TokenId last = ids[size - 1], second = ids[size - 2], third = ids[size - 3];
  std::size_t from = 0;  // the id after the best place found
  for (std::size_t end = size - 1; end >= 2; --end) {
    if (ids[end - 1] != last || ids[end - 2] != second) continue;
    const bool three = end >= 3 && ids[end - 3] == third;
    if (from == 0 || three) from = end;
    if (three) break;
  }
  if (from == 0) return 0;
  // What it has just guessed may be what comes next: an answer that goes round in a circle.
  for (std::uint32_t i = 0; i < most; ++i) ids.push_back(ids[from + i]);
  return most;
}

void DraftRecord::add(std::uint32_t tried, std::uint32_t kept) {
  constexpr double fading = 0.98;
  tried_ = tried_ * fading + tried;
  kept_ = kept_ * fading + kept;
}

DraftBudget::DraftBudget(const StepCosts& costs, const StepWork& work, std::uint32_t tokens,
                         std::uint32_t most)
    : costs_(costs), work_(work), most_(most), tokens_(tokens) {}

// One more is worth it while (tokens + p) / cost(positions + 1) > tokens / cost(positions).
std::uint32_t DraftBudget::take(double rate, std::uint32_t guesses, std::uint32_t context) {
  const double attention_us = costs_.of_attention() * context;
  std::uint32_t taken = 0;
  double held = 1;  // the chance that this guess and all before it hold
  while (taken < guesses && work_.positions < most_) {
    held *= rate;
    const double one_more_us = costs_.of_one_more(work_.positions) + attention_us;
    if (held * costs_.of(work_) <= tokens_ * one_more_us) break;
    tokens_ += held;
    ++work_.positions;
    work_.attention += context;
    ++taken;
  }
  return taken;
}

}  // namespace aorta::engine
