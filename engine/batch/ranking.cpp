#include "engine/batch/ranking.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "engine/batch/exp.hpp"

namespace aorta::engine {
namespace {

// The first band: what is above e^-8 of the largest is looked at one by one, the rest only summed.
constexpr double first_depth = -8.0;
constexpr double deepening = 1.25;                // of each further band
constexpr double weight_at_first_depth = 3.4e-4;  // a little more than e^-8
// Where the estimate of LogitKernels::split is proven; elsewhere the mass is summed exactly.
constexpr double lowest_estimated = 0.01, highest_estimated = 100.0;
// More than the double sums of any vocabulary differ by their order.
constexpr double sum_error = 1e-10;

bool ranked_before(const Ranking::Ranked& a, const Ranking::Ranked& b) {
  return ranks_before(a, b);
}

TailWeighing tail_of(const Weighing& weighing, float bar) {
  const double log2_scale = 1.4426950408889634 * weighing.inverse_temperature;
  const auto high = static_cast<float>(log2_scale);
  return {.largest = static_cast<float>(weighing.largest),
          .bar = bar,
          .floor = static_cast<float>(-80.0 / weighing.inverse_temperature),
          .log2_high = high,
          .log2_low = static_cast<float>(log2_scale - high)};
}

}  // namespace

Ranking::Ranking(const LogitScan& scan, const Sampling& sampling)
    : scan_(scan),
      weighing_(weighing_of(scan.first().logit, sampling)),
      temperature_(sampling.temperature),
      bottom_(first_depth * temperature_),
      high_(static_cast<float>(weighing_.largest + bottom_)),
      found_(scan.scratch().found),
      band_(scan.scratch().band),
      bounds_(scan.scratch().bounds) {
  found_.clear();
  take_first_band();
}

void Ranking::take_first_band() {
  const bool tail_weighs = weighing_.min_p < weight_at_first_depth;
  const bool estimates = temperature_ >= lowest_estimated && temperature_ <= highest_estimated;
  double tail = 0;
  if (tail_weighs && estimates) {
    tail = scan_.split(tail_of(weighing_, high_), found_);
  } else {
    scan_.collect(high_, std::numeric_limits<float>::infinity(), found_);
  }
  arrange();
  if (tail_weighs && !estimates) {
    mass_low_ = mass_high_ = exact_mass();
  } else {
    bound_mass(tail);
  }
}

void Ranking::bound_mass(double tail) {
  double above = 0;
  for (const Ranked& ranked : band_) above += ranked.weight;
  const double tail_low = weighing_.min_p > 0 ? 0 : tail * (1 - split_error);
  mass_low_ = (above + tail_low) * (1 - sum_error);
  mass_high_ = (above + tail * (1 + split_error)) * (1 + sum_error);
}

const Ranking::Ranked* Ranking::next() {
  while (position_ == sorted_) {
    if (bucket_ < bounds_.size()) {
      sort_next_bucket();
    } else if (bottom_ >= exp_underflow * temperature_) {
      take_next_band();
    } else {
      return nullptr;
    }
  }
  return &band_[position_++];
}

void Ranking::take_next_band() {
  bottom_ *= deepening;
  const auto low = static_cast<float>(weighing_.largest + bottom_);
  found_.clear();
  scan_.collect(low, high_, found_);
  high_ = low;
  arrange();
}

// Weighs what was found and deals it into buckets of falling logits, about as many as candidates:
// sorting within them is then linear in all, and only done as far as it is asked for.
void Ranking::arrange() {
  const std::size_t count = found_.size();
  band_.resize(count);
  bounds_.clear();
  bucket_ = sorted_ = position_ = 0;
  if (count == 0) return;

  std::vector<float>& logits = scan_.scratch().found_logits;
  std::vector<double>& weights = scan_.scratch().weights;
  logits.resize(count);
  weights.resize(count);
  float top = found_[0].logit, bottom = top;
  for (std::size_t i = 0; i < count; ++i) {
    logits[i] = found_[i].logit;
    top = std::max(top, logits[i]);
    bottom = std::min(bottom, logits[i]);
  }
  scan_.kernels().weigh(logits, weighing_, weights.data());

  const double depth = static_cast<double>(top) - static_cast<double>(bottom);
  const std::size_t buckets = depth > 0 ? std::bit_ceil(count) : 1;
  const double scale = static_cast<double>(buckets - 1) / (depth > 0 ? depth : 1);
  const auto bucket_of = [&](float logit) {
    return static_cast<std::size_t>((static_cast<double>(top) - logit) * scale);
  };
  bounds_.assign(buckets, 0);
  for (const float logit : logits) ++bounds_[bucket_of(logit)];
  std::size_t begin = 0;
  for (std::size_t& bound : bounds_) {
    const std::size_t size = bound;
    bound = begin;
    begin += size;
  }
  for (std::size_t i = 0; i < count; ++i) {
    band_[bounds_[bucket_of(logits[i])]++] = {weights[i], logits[i], found_[i].id};
  }
}

// Ids ascend within a bucket as they were found, which sorting must not undo for equal logits.
void Ranking::sort_next_bucket() {
  const std::size_t begin = sorted_;
  sorted_ = bounds_[bucket_++];
  if (sorted_ - begin > 1) std::sort(&band_[begin], &band_[0] + sorted_, ranked_before);
}

}  // namespace aorta::engine
