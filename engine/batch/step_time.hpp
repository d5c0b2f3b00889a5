#pragma once
// How long a step may last, and what of that is whose: the others' next tokens, prefill, copies of
// KV blocks. Follows from what earlier steps and copies took; has no clock.
#include <cstdint>

#include "engine/batch/copy_cost.hpp"
#include "engine/batch/prefill_share.hpp"
#include "engine/batch/step_costs.hpp"

namespace aorta::engine {

class StepTime {
 public:
  // Steps of so many positions at most, sequences of so many.
  StepTime(std::uint32_t step_tokens, std::uint32_t context_tokens);

  // A step in which these decode, a position each, and so many have prefill to do.
  void begin(const StepWork& decodes, std::uint32_t prefilling);

  // The first of a sequence's blocks that is copied in less time than it is computed; beyond every
  // block: none is.
  std::uint32_t copied_from() const;
  // Of this step: one block at least, so that whoever waits for its blocks gets on.
  bool may_load_one_more() const;
  void loaded(double us);  // a block, out of the store; us as CopyCost::measured has it
  void saved(double us);   // and into it

  // What begin() and the loads leave. Valid until the next step is measured.
  PrefillRoom prefill_room(bool oldest_first) const;

  // Of steps in which some prompt is computed, whose positions need no head, or of the others.
  const StepCosts& costs(bool mixed) const { return mixed ? mixed_costs_ : decode_costs_; }
  void measured(bool mixed, const StepWork& work, double us);

 private:
  const std::uint32_t step_tokens_, context_tokens_;
  StepCosts decode_costs_, mixed_costs_;
  CopyCost load_cost_, save_cost_;
  // Of this step.
  StepWork decodes_;
  double longest_us_ = 0;             // it may take so long, as far as prefill decides,
  double longest_with_brief_us_ = 0;  // and so long where that is of brief prompts,
  double spare_us_ = 0;               // so much of it for what is not decoding,
  double loaded_us_ = 0;              // and loads took so long
  std::uint32_t loads_ = 0;
};

}  // namespace aorta::engine
