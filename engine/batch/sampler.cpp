#include "engine/batch/sampler.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "base/philox.hpp"
#include "engine/batch/exp.hpp"

namespace aorta::engine {
namespace {

constexpr float minus_infinity = -std::numeric_limits<float>::infinity();
constexpr std::size_t lanes = 8;  // a constant inner trip count, so that -O2 vectorises

struct Candidate {
  float logit;
  TokenId id;
};

bool ranks_before(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

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

// The first candidate of all, or logit -inf when there is none.
Candidate best_of(std::span<const float> logits) {
  std::array<float, lanes> best;
  best.fill(minus_infinity);
  std::size_t i = 0;
  for (; i + lanes <= logits.size(); i += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      best[lane] = logits[i + lane] > best[lane] ? logits[i + lane] : best[lane];
    }
  }
  float top = *std::max_element(best.begin(), best.end());
  for (; i < logits.size(); ++i) top = logits[i] > top ? logits[i] : top;
  const auto at = std::find(logits.begin(), logits.end(), top);  // not found: all are NaN
  return {top, at == logits.end() ? 0 : static_cast<TokenId>(at - logits.begin())};
}

// Unnormalised probability: e^((logit - largest) / temperature), so the most likely has 1, and 0
// for what min_p leaves out.
class Weigher {
 public:
  Weigher(float largest, const Sampling& s)
      : largest_(largest),
        inverse_temperature_(1.0 / static_cast<double>(s.temperature)),
        min_p_(std::min(static_cast<double>(s.min_p), 1.0)) {}

  double operator()(float logit) const {
    const double weight = exp_nonpositive((logit - largest_) * inverse_temperature_);
    return weight >= min_p_ ? weight : 0.0;
  }
  TwoDoubles operator()(float first, float second) const {
    const TwoDoubles logit{first, second};
    const TwoDoubles weight = exp_nonpositive((logit - largest_) * inverse_temperature_);
    return weight >= min_p_ ? weight : TwoDoubles{};
  }

 private:
  double largest_, inverse_temperature_, min_p_;
};

double mass_of(std::span<const float> logits, const Weigher& weigh) {
  std::array<TwoDoubles, lanes / 2> sum{};
  std::size_t i = 0;
  for (; i + lanes <= logits.size(); i += lanes) {
    for (std::size_t pair = 0; pair < lanes / 2; ++pair) {
      sum[pair] += weigh(logits[i + 2 * pair], logits[i + 2 * pair + 1]);
    }
  }
  for (std::size_t lane = 0; i < logits.size(); ++i, ++lane) {
    sum[lane / 2][lane % 2] += weigh(logits[i]);
  }
  const TwoDoubles total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  return total[0] + total[1];
}

// Calls `visit` for every logit >= bar and some others, ids ascending. `visit` may raise the bar.
template <class Visit>
void visit_from(std::span<const float> logits, const float& bar, Visit visit) {
  std::size_t i = 0;
  for (; i + lanes <= logits.size(); i += lanes) {
    int any = 0;  // most groups have none, and that is told without a branch for each logit
    for (std::size_t lane = 0; lane < lanes; ++lane) any |= logits[i + lane] >= bar;
    if (any == 0) continue;
    for (std::size_t lane = 0; lane < lanes; ++lane) visit(static_cast<TokenId>(i + lane));
  }
  for (; i < logits.size(); ++i) visit(static_cast<TokenId>(i));
}

// The first `k` candidates in order. The buffer is cut back to k whenever it reaches 2k, and the
// k-th so far is a bar that few of the rest pass.
std::vector<Candidate> first_candidates(std::span<const float> logits, std::size_t k) {
  std::vector<Candidate> kept;
  kept.reserve(2 * k);
  float bar = minus_infinity;
  const auto cut = [&] {
    std::nth_element(kept.begin(), kept.begin() + (k - 1), kept.end(), ranks_before);
    kept.resize(k);
    bar = kept.back().logit;
  };
  visit_from(logits, bar, [&](TokenId id) {
    if (!(logits[id] > bar)) return;  // an equal logit ranks later: its id is larger
    kept.push_back({logits[id], id});
    if (kept.size() == 2 * k) cut();
  });
  if (kept.size() > k) cut();
  std::sort(kept.begin(), kept.end(), ranks_before);
  return kept;
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
  Candidate best = best_of(logits);
  if (best.logit == minus_infinity) return first_not_banned(logits.size(), banned);
  if (!(sampling.temperature > 0)) return best.id;
  if (best.logit > std::numeric_limits<float>::max()) {  // infinite: differences would be NaN
    copy.assign(logits.begin(), logits.end());
    std::replace(copy.begin(), copy.end(), best.logit, std::numeric_limits<float>::max());
    logits = copy;
    best.logit = std::numeric_limits<float>::max();
  }
  return draw(logits, sampling, best,
              philox_uniform(sampling.seed, sampling.choice, generated_index));
}

}  // namespace aorta::engine
