#include "engine/batch/step_costs.hpp"

#include <algorithm>
#include <cmath>

namespace aorta::engine {
namespace {

// Before anything is measured, in what computing a position costs: reading the weights, and how
// much attention costs as much (a small model's; a large one's positions are worth more of it).
constexpr double weights_in_positions = 16;
constexpr double attention_per_position = 1000;

constexpr std::uint32_t single_buckets = 8;  // up to here one for each number of positions
constexpr double running = 1.0 / 4;          // how much the newest counts
constexpr double outlier = 2;
constexpr double least_without_attention = 0.1;  // of what a step took

// The slope follows the machine: of squared differences in attention, so many speak for the guess,
// and no more than so many for what was measured long ago.
constexpr double guess_variance = 2000.0 * 2000.0;
constexpr double most_variance = 250 * guess_variance;

double guess(double positions) { return weights_in_positions + positions; }

}  // namespace

StepCosts::StepCosts(std::uint32_t most_positions, Beyond beyond)
    : beyond_(beyond), curve_(most_positions + 1), guessed_slope_(1 / attention_per_position) {
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

void StepCosts::measured(const StepWork& work, double us) {
  if (work.positions == 0 || us <= 0) return;
  Bucket& bucket = buckets_[bucket_of(work.positions)];
  if (!known_) {
    const double in_positions = guess(work.positions) + work.attention / attention_per_position;
    guessed_slope_ = us / in_positions / attention_per_position;
    known_ = true;
  }
  if (bucket.count > 0) {
    us = std::min(us, outlier * of(work));
    learn_attention(bucket, work, us);
  }
  const double part = std::max(running, 1.0 / ++bucket.count);
  bucket.positions += (work.positions - bucket.positions) * part;
  bucket.attention += (work.attention - bucket.attention) * part;
  bucket.us += (us - bucket.us) * part;
  draw_curve();
}

// Against the bucket's mean, so that what else its steps cost falls out.
void StepCosts::learn_attention(const Bucket& bucket, const StepWork& work, double us) {
  const auto usual = static_cast<std::uint32_t>(std::lround(bucket.positions));
  const double by_positions = without_attention(work.positions) - without_attention(usual);
  const double more = work.attention - bucket.attention;
  covariance_ += more * (us - bucket.us - by_positions);
  variance_ += more * more;
  if (variance_ > most_variance) {
    covariance_ *= most_variance / variance_;
    variance_ = most_variance;
  }
}

double StepCosts::of_attention() const {
  const double slope =
      (covariance_ + guessed_slope_ * guess_variance) / (variance_ + guess_variance);
  return std::max(slope, 0.0);
}

double StepCosts::without_attention(const Bucket& bucket) const {
  return std::max(bucket.us - of_attention() * bucket.attention,
                  least_without_attention * bucket.us);
}

double StepCosts::without_attention(std::uint32_t positions) const {
  return curve_[std::min<std::size_t>(positions, curve_.size() - 1)];
}

// Straight lines through what is known; beyond its ends, what was guessed in proportion.
void StepCosts::draw_curve() {
  const Bucket* below = nullptr;
  double most = 0, us_below = 0;
  auto above = buckets_.begin();
  for (std::size_t n = 0; n < curve_.size(); ++n) {
    const auto positions = static_cast<double>(n);
    while (above != buckets_.end() && (above->count == 0 || above->positions <= positions)) {
      if (above->count > 0) {
        below = &*above;
        us_below = without_attention(*below);
      }
      ++above;
    }
    double us = guess(positions);
    if (below != nullptr && above != buckets_.end()) {
      const double part = (positions - below->positions) / (above->positions - below->positions);
      us = us_below + (without_attention(*above) - us_below) * part;
    } else if (below != nullptr) {
      us = us_below * (beyond_ == Beyond::in_proportion ? positions / below->positions
                                                        : us / guess(below->positions));
    } else if (above != buckets_.end()) {
      us = without_attention(*above) * us / guess(above->positions);
    }
    curve_[n] = most = std::max(most, us);
  }
}

double StepCosts::of(const StepWork& work) const {
  return without_attention(work.positions) + of_attention() * work.attention;
}

double StepCosts::of_one_more(std::uint32_t positions) const {
  constexpr std::uint32_t ahead = 4;
  const auto last = static_cast<std::uint32_t>(curve_.size() - 1);
  const std::uint32_t to = std::min(positions + ahead, last);
  const double now = without_attention(positions);
  return to > positions ? (without_attention(to) - now) / (to - positions)
                        : without_attention(last);
}

}  // namespace aorta::engine
