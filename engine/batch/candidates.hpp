#pragma once
// What choosing a token and its log-probabilities share: candidates in their order, and their mass.
// Sums in a fixed order and our own exp, so the bits are the same on every machine.
#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include "engine/batch/exp.hpp"
#include "engine/engine.hpp"

namespace aorta::engine {

inline constexpr float minus_infinity = -std::numeric_limits<float>::infinity();
// A constant inner trip count, so that -O2 vectorises.
inline constexpr std::size_t logit_lanes = 8;

struct Candidate {
  float logit;
  TokenId id;
};

inline bool ranks_before(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

// The first candidate of all, or logit -inf when there is none. NaN counts as -inf.
Candidate first_candidate(std::span<const float> logits);
// The first `k` of those above -inf, in order; k is at least 1.
std::vector<Candidate> first_candidates(std::span<const float> logits, std::size_t k);

// Differences with an infinite logit would be NaN. When `first`, the first candidate, has one, it
// gets the largest finite logit instead, and so has `copy`, which is then returned.
std::span<const float> with_finite_first(std::span<const float> logits, Candidate& first,
                                         std::vector<float>& copy);

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

// The sum of all weights: in id order in 8 lanes.
double mass_of(std::span<const float> logits, const Weigher& weigh);

// Calls `visit` for every logit >= bar and some others, ids ascending. `visit` may raise the bar.
template <class Visit>
void visit_from(std::span<const float> logits, const float& bar, Visit visit) {
  std::size_t i = 0;
  for (; i + logit_lanes <= logits.size(); i += logit_lanes) {
    int any = 0;  // most groups have none, and that is told without a branch for each logit
    for (std::size_t lane = 0; lane < logit_lanes; ++lane) any |= logits[i + lane] >= bar;
    if (any == 0) continue;
    for (std::size_t lane = 0; lane < logit_lanes; ++lane) visit(static_cast<TokenId>(i + lane));
  }
  for (; i < logits.size(); ++i) visit(static_cast<TokenId>(i));
}

}  // namespace aorta::engine
