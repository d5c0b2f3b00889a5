#include "engine/batch/step_costs.hpp"

#include <algorithm>

namespace aorta::engine {
namespace {

constexpr double weights_in_positions =
    16;  // what reading the weights costs, before it is measured
constexpr std::uint32_t single_buckets = 8;  // up to here one for each number of positions
constexpr double running = 1.0 / 4;          // how much the newest counts
constexpr double outlier = 2;

double guess(double positions) { return weights_in_positions + positions; }

}  // namespace

StepCosts::StepCosts(std::uint32_t most_positions) : curve_(most_positions + 1) {
  for (std::uint32_t end = 1; end < most_positions;) {
    ends_.push_back(end);
    end += end < single_buckets ? 1 : end / 4;
  }
  ends_.push_back(most_positions);
  buckets_.resize(ends_.size());
  draw_curve();
}

std::size_t StepCosts::bucket_of(std::uint32_t positions) const {
  const auto at = std::lower_bound(ends_.begin(), ends_.end(), positions);
  return std::min<std::size_t>(at - ends_.begin(), ends_.size() - 1);
}

void StepCosts::measured(std::uint32_t positions, double us) {
  if (positions == 0 || us <= 0) return;
  Bucket& bucket = buckets_[bucket_of(positions)];
  if (bucket.count > 0) us = std::min(us, outlier * bucket.us);
  const double part = std::max(running, 1.0 / ++bucket.count);
  bucket.positions += (positions - bucket.positions) * part;
  bucket.us += (us - bucket.us) * part;
  known_ = true;
  draw_curve();
}

// Straight lines through what is known; beyond its ends, the guess in proportion.
void StepCosts::draw_curve() {
  const Bucket* below = nullptr;
  double most = 0;
  auto above = buckets_.begin();
  for (std::size_t n = 0; n < curve_.size(); ++n) {
    const auto positions = static_cast<double>(n);
    while (above != buckets_.end() && (above->count == 0 || above->positions <= positions)) {
      if (above->count > 0) below = &*above;
      ++above;
    }
    double us = guess(positions);
    if (below != nullptr && above != buckets_.end()) {
      const double part = (positions - below->positions) / (above->positions - below->positions);
      us = below->us + (above->us - below->us) * part;
    } else if (below != nullptr) {
      us = below->us * us / guess(below->positions);
    } else if (above != buckets_.end()) {
      us = above->us * us / guess(above->positions);
    }
    curve_[n] = most = std::max(most, us);
  }
}

double StepCosts::of(std::uint32_t positions) const {
  return curve_[std::min<std::size_t>(positions, curve_.size() - 1)];
}

double StepCosts::of_one_more(std::uint32_t positions) const {
  constexpr std::uint32_t ahead = 4;
  const auto last = static_cast<std::uint32_t>(curve_.size() - 1);
  const std::uint32_t to = std::min(positions + ahead, last);
  return to > positions ? (of(to) - of(positions)) / (to - positions) : of(last);
}

std::uint32_t StepCosts::most_within(double us) const {
  const auto beyond = std::upper_bound(curve_.begin(), curve_.end(), us);
  return beyond == curve_.begin() ? 0 : static_cast<std::uint32_t>(beyond - curve_.begin() - 1);
}

}  // namespace aorta::engine
