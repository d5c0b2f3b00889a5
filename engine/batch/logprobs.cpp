#include "engine/batch/logprobs.hpp"

#include "engine/batch/candidates.hpp"
#include "engine/batch/log.hpp"

namespace aorta::engine {

TokenLogprobs logprobs_of(std::span<const float> logits, TokenId chosen, std::uint32_t top,
                          SamplerScratch& scratch) {
  AORTA_CHECK(chosen >= 0 && static_cast<std::size_t>(chosen) < logits.size(),
              "a chosen token outside the vocabulary");
  LogitScan scan(logits, best_logit_kernels(), scratch);
  if (scan.first().logit == minus_infinity) return {lowest_logprob, {}};
  scan.make_finite();
  const Candidate first = scan.first();
  logits = scan.logits();

  const double mass = scan.kernels().mass(logits, weighing_of(first.logit, Sampling{}));
  const double log_mass = log_positive(mass);
  const auto logprob = [&](float logit) {
    const double difference = static_cast<double>(logit) - static_cast<double>(first.logit);
    const auto rounded = static_cast<float>(difference - log_mass);
    return rounded > lowest_logprob ? rounded : lowest_logprob;
  };
  TokenLogprobs logprobs{logprob(logits[static_cast<std::size_t>(chosen)]), {}};
  if (top == 0) return logprobs;
  const std::span<const Candidate> likeliest = scan.first(top);
  logprobs.top.reserve(likeliest.size());
  for (const Candidate& candidate : likeliest) {
    logprobs.top.emplace_back(candidate.id, logprob(candidate.logit));
  }
  return logprobs;
}

}  // namespace aorta::engine
