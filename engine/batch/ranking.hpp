#pragma once
// The vocabulary's candidates in order, with their weights, as far down as they are asked for; and
// bounds of all their mass, which tell almost every draw without summing it exactly.
#include <cstddef>
#include <vector>

#include "engine/batch/candidates.hpp"

namespace aorta::engine {

class Ranking {
 public:
  // `scan` has a finite first candidate and outlives this, which uses its scratch.
  Ranking(const LogitScan& scan, const Sampling& sampling);

  using Ranked = RankedCandidate;
  // Null when none is left whose weight is above 0.
  const Ranked* next();

  // The rule's mass, LogitKernels::mass, lies in [mass_low, mass_high].
  double mass_low() const { return mass_low_; }
  double mass_high() const { return mass_high_; }
  double exact_mass() const { return scan_.kernels().mass(scan_.logits(), weighing_); }

 private:
  void take_first_band();
  void take_next_band();
  void bound_mass(double tail);
  void arrange();
  void sort_next_bucket();

  const LogitScan& scan_;
  const Weighing weighing_;
  const double temperature_;
  double mass_low_ = 0, mass_high_ = 0;

  // It goes down in bands.
  double bottom_;  // of the band in band_, below the largest: negative
  float high_;     // what is at or above was handed out or is in band_
  std::vector<Candidate>& found_;
  std::vector<Ranked>& band_;         // by bucket; [0, sorted_) in order
  std::vector<std::size_t>& bounds_;  // where the buckets end
  std::size_t bucket_ = 0, sorted_ = 0, position_ = 0;
};

}  // namespace aorta::engine
