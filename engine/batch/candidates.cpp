#include "engine/batch/candidates.hpp"

#include <array>

namespace aorta::engine {

Candidate first_candidate(std::span<const float> logits) {
  std::array<float, logit_lanes> best;
  best.fill(minus_infinity);
  std::size_t i = 0;
  for (; i + logit_lanes <= logits.size(); i += logit_lanes) {
    for (std::size_t lane = 0; lane < logit_lanes; ++lane) {
      best[lane] = logits[i + lane] > best[lane] ? logits[i + lane] : best[lane];
    }
  }
  float top = *std::max_element(best.begin(), best.end());
  for (; i < logits.size(); ++i) top = logits[i] > top ? logits[i] : top;
  const auto at = std::find(logits.begin(), logits.end(), top);  // not found: all are NaN
  return {top, at == logits.end() ? 0 : static_cast<TokenId>(at - logits.begin())};
}

// The buffer is cut back to k whenever it reaches 2k, and the k-th so far is a bar that few of the
// rest pass.
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

std::span<const float> with_finite_first(std::span<const float> logits, Candidate& first,
                                         std::vector<float>& copy) {
  constexpr float largest = std::numeric_limits<float>::max();
  if (first.logit <= largest) return logits;
  std::vector<float> finite(logits.begin(), logits.end());
  std::replace(finite.begin(), finite.end(), first.logit, largest);
  first.logit = largest;
  copy = std::move(finite);  // `logits` may be of `copy`
  return copy;
}

double mass_of(std::span<const float> logits, const Weigher& weigh) {
  std::array<TwoDoubles, logit_lanes / 2> sum{};
  std::size_t i = 0;
  for (; i + logit_lanes <= logits.size(); i += logit_lanes) {
    for (std::size_t pair = 0; pair < logit_lanes / 2; ++pair) {
      sum[pair] += weigh(logits[i + 2 * pair], logits[i + 2 * pair + 1]);
    }
  }
  for (std::size_t lane = 0; i < logits.size(); ++i, ++lane) {
    sum[lane / 2][lane % 2] += weigh(logits[i]);
  }
  const TwoDoubles total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  return total[0] + total[1];
}

}  // namespace aorta::engine
