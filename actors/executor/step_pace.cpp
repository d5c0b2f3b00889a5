#include "actors/executor/step_pace.hpp"

#include <algorithm>

namespace aorta::executor {
namespace {

constexpr double smoothing = 0.2;  // weight of the newest step
constexpr std::uint32_t least_prefill =
    16;  // a shorter chunk tells more of the step than of the rate

}  // namespace

void StepPace::add(const engine::StepReport& step, Duration took) {
  const std::uint32_t decoded = step.decode_tokens + step.drafted;
  if (step.prefill_tokens + decoded == 0) return;  // it only took commands
  const auto us = static_cast<std::uint32_t>(std::clamp<std::int64_t>(took.count(), 1, 1u << 30));
  step_us_[steps_++ % remembered_steps] = us;
  // Positions are what a step's time goes into, whoever they belong to.
  if (step.prefill_tokens < std::max(least_prefill, decoded)) return;
  const double rate = (step.prefill_tokens + decoded) * 1e6 / us;
  prefill_per_second_ = prefill_per_second_ == 0
                            ? rate
                            : prefill_per_second_ + smoothing * (rate - prefill_per_second_);
}

std::uint32_t StepPace::median_step_us() const {
  const std::size_t count = std::min(steps_, remembered_steps);
  if (count == 0) return 0;
  auto sorted = step_us_;
  auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(count / 2);
  std::nth_element(sorted.begin(), middle, sorted.begin() + static_cast<std::ptrdiff_t>(count));
  return *middle;
}

std::uint32_t StepPace::prefill_per_second() const {
  return static_cast<std::uint32_t>(std::clamp(prefill_per_second_, 0.0, 4e9));
}

}  // namespace aorta::executor
