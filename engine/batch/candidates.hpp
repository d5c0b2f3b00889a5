#pragma once
// What choosing a token and its log-probabilities share: candidates in their order, and their mass.
// Sums in a fixed order and our own exp, so the bits are the same on every machine.
#include <limits>
#include <span>
#include <vector>

#include "engine/batch/logit_kernels.hpp"
#include "engine/batch/sampler_scratch.hpp"
#include "engine/engine.hpp"

namespace aorta::engine {

inline constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

// The order of candidates: logit down, id up.
template <class A, class B>
bool ranks_before(const A& a, const B& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

// A vocabulary's logits and the largest of each block, so that most of them are read only once. A
// scratch serves one scan at a time; `logits` may be its.
class LogitScan {
 public:
  LogitScan(std::span<const float> logits, const LogitKernels& kernels, SamplerScratch& scratch);

  std::span<const float> logits() const { return logits_; }
  const LogitKernels& kernels() const { return *kernels_; }
  SamplerScratch& scratch() const { return scratch_; }

  // The first candidate of all, or logit -inf when there is none. NaN counts as -inf.
  Candidate first() const;
  // The first `k` of those above -inf, in order; k is at least 1, no logit +inf. They are in the
  // scratch's `found`.
  std::span<const Candidate> first(std::size_t k) const;
  // Appends the logits in [low, high), ids ascending.
  void collect(float low, float high, std::vector<Candidate>& out) const;
  // Appends the logits >= tail.bar, ids ascending. Returns the mass of the others, to split_error.
  double split(const TailWeighing& tail, std::vector<Candidate>& out) const;

  // Differences with an infinite logit would be NaN. When the first candidate has one, it gets the
  // largest finite logit instead, and so do its equals, in the scratch's `logits`, which are
  // scanned from now on.
  void make_finite();

 private:
  std::span<const float> logits_;
  const LogitKernels* kernels_;
  SamplerScratch& scratch_;
  std::vector<float>& maxima_;
};

// The weights of unnormalised probabilities: the most likely has 1, what min_p leaves out has 0.
inline Weighing weighing_of(float largest, const Sampling& s) {
  const double min_p = s.min_p;
  return {largest, 1.0 / static_cast<double>(s.temperature), min_p < 1.0 ? min_p : 1.0};
}

}  // namespace aorta::engine
