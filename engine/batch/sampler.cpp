#include "engine/batch/sampler.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "base/philox.hpp"
#include "engine/batch/candidates.hpp"

namespace aorta::engine {
namespace {

bool needs_adjustment(const Sampling& s, std::span<const TokenId> banned) {
  return !banned.empty() || !s.logit_bias.empty() || s.repetition_penalty != 1.0f ||
         s.frequency_penalty != 0.0f || s.presence_penalty != 0.0f;
}

void penalise(std::vector<float>& logits, const Sampling& s, std::span<const TokenId> ids,
              std::uint32_t prompt_tokens) {
  const auto known = [&](TokenId id) {
    return id >= 0 && static_cast<std::size_t>(id) < logits.size();
  };
  if (s.repetition_penalty != 1.0f) {
    std::vector<bool> seen(logits.size());
    for (const TokenId id : ids) {
      if (!known(id) || seen[id]) continue;
      seen[id] = true;
      float& logit = logits[id];
      logit = logit > 0 ? logit / s.repetition_penalty : logit * s.repetition_penalty;
    }
  }
  if (s.frequency_penalty != 0.0f || s.presence_penalty != 0.0f) {
    std::vector<TokenId> generated(ids.begin() + prompt_tokens, ids.end());
    std::sort(generated.begin(), generated.end());
    for (std::size_t i = 0, end = 0; i < generated.size(); i = end) {
      while (end < generated.size() && generated[end] == generated[i]) ++end;
      if (!known(generated[i])) continue;
      float& logit = logits[generated[i]];
      logit -= s.frequency_penalty * static_cast<float>(end - i);
      logit -= s.presence_penalty;
    }
  }
}

// Steps 1 to 4 of the header.
std::vector<float> adjusted(std::span<const float> raw, const Sampling& s,
                            std::span<const TokenId> ids, std::uint32_t prompt_tokens,
                            std::span<const TokenId> banned) {
  std::vector<float> logits(raw.begin(), raw.end());
  const auto known = [&](TokenId id) {
    return id >= 0 && static_cast<std::size_t>(id) < logits.size();
  };
  for (const auto& [id, bias] : s.logit_bias) {
    if (known(id)) logits[id] += bias;
  }
  penalise(logits, s, ids, prompt_tokens);
  for (const TokenId id : banned) {
    if (known(id)) logits[id] = minus_infinity;
  }
  return logits;
}

// Candidates in order. Sorts no more of the vocabulary than is asked for: it goes down in bands,
// each twice as deep as all before it.
class Ranking {
 public:
  explicit Ranking(std::vector<Candidate> sorted) : sorted_(std::move(sorted)) {}
  Ranking(std::span<const float> logits, Candidate best, double temperature)
      : logits_(logits),
        largest_(best.logit),
        depth_(-4 * temperature),
        end_(exp_underflow * temperature) {}

  // Null when none is left whose weight is above 0.
  const Candidate* next() {
    while (position_ == sorted_.size()) {
      if (logits_.empty() || bottom_ < end_) return nullptr;
      take_next_band();
    }
    return &sorted_[position_++];
  }

 private:
  void take_next_band() {
    bottom_ = depth_;
    depth_ *= 2;
    const auto low = static_cast<float>(largest_ + bottom_);
    sorted_.clear();
    position_ = 0;
    visit_from(logits_, low, [&](TokenId id) {
      if (logits_[id] >= low && logits_[id] < high_) sorted_.push_back({logits_[id], id});
    });
    std::sort(sorted_.begin(), sorted_.end(), ranks_before);
    high_ = low;
  }

  std::span<const float> logits_;  // empty: sorted_ is all there is
  double largest_ = 0;
  double depth_ = 0;   // of the next band, below the largest: negative
  double bottom_ = 0;  // of the band in sorted_
  double end_ = 0;     // depth at which weights have become 0
  float high_ = std::numeric_limits<float>::infinity();  // what is at or above was handed out
  std::vector<Candidate> sorted_;
  std::size_t position_ = 0;
};

// Steps 6 to 9 of the header.
TokenId draw(std::span<const float> logits, const Sampling& s, Candidate best, double uniform) {
  const Weigher weigh(best.logit, s);
  const bool all = s.top_k == 0 || s.top_k >= logits.size();
  double mass = 0;
  std::vector<Candidate> top;
  if (all) {
    mass = mass_of(logits, weigh);
  } else {
    top = first_candidates(logits, s.top_k);
    for (const Candidate& c : top) mass += weigh(c.logit);
  }
  Ranking ranking = all ? Ranking(logits, best, s.temperature) : Ranking(std::move(top));

  // Without top_p the draw's place is known before the walk; with it, only after: the walk then
  // keeps the running mass of each candidate it passes.
  const bool cut = s.top_p < 1.0f;
  const double end = (cut ? static_cast<double>(s.top_p) : uniform) * mass;
  std::vector<std::pair<double, TokenId>> passed;
  double sum = 0;
  TokenId last = best.id;
  while (const Candidate* candidate = ranking.next()) {
    const double weight = weigh(candidate->logit);
    if (weight == 0) break;
    sum += weight;
    last = candidate->id;
    if (cut) passed.emplace_back(sum, last);
    if (cut ? sum >= end : sum > end) break;
  }
  // The walk's sum may round below the mass: the last candidate then stands for the difference.
  if (!cut) return last;
  const double place = uniform * sum;
  for (const auto& [running, id] : passed) {
    if (running > place) return id;
  }
  return last;
}

TokenId first_not_banned(std::size_t vocabulary, std::span<const TokenId> banned) {
  for (std::size_t id = 0; id < vocabulary; ++id) {
    if (std::find(banned.begin(), banned.end(), static_cast<TokenId>(id)) == banned.end()) {
      return static_cast<TokenId>(id);
    }
  }
  return 0;
}

}  // namespace

TokenId choose_token(std::span<const float> raw, const Sampling& sampling,
                     std::span<const TokenId> ids, std::uint32_t prompt_tokens,
                     std::uint32_t generated_index, std::span<const TokenId> banned) {
  AORTA_CHECK(!raw.empty(), "a token is chosen among none");
  AORTA_CHECK(prompt_tokens <= ids.size(), "the prompt is longer than the sequence");
  std::vector<float> copy;
  std::span<const float> logits = raw;
  if (needs_adjustment(sampling, banned)) {
    copy = adjusted(raw, sampling, ids, prompt_tokens, banned);
    logits = copy;
  }
  Candidate best = first_candidate(logits);
  if (best.logit == minus_infinity) return first_not_banned(logits.size(), banned);
  if (!(sampling.temperature > 0)) return best.id;
  logits = with_finite_first(logits, best, copy);
  return draw(logits, sampling, best,
              philox_uniform(sampling.seed, sampling.choice, generated_index));
}

}  // namespace aorta::engine
