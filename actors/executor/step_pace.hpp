#pragma once
// How fast the engine goes: what a scheduler places by.
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.hpp"
#include "engine/engine.hpp"

namespace aorta::executor {

class StepPace {
 public:
  void add(const engine::StepReport& step, Duration took);
  std::uint32_t median_step_us() const;      // of the last steps; 0: none yet
  std::uint32_t prefill_per_second() const;  // smoothed; 0: not yet

 private:
  static constexpr std::size_t remembered_steps = 64;
  std::array<std::uint32_t, remembered_steps> step_us_{};
  std::size_t steps_ = 0;
  double prefill_per_second_ = 0;
};

}  // namespace aorta::executor
