#include "engine/batch/step_time.hpp"

#include <algorithm>
#include <limits>

#include "engine/engine.hpp"

namespace aorta::engine {
namespace {

// A step with prefill may last so many times what it would if all in it decoded.
constexpr double longer_by_prefill = 1.7;

// The same where it is of prompts that a step or a few will have done: who waits for a first token
// waits for all of these steps, who waits for the next one seldom for more than one of them.
constexpr double longer_by_brief_prefill = 3;

// Before it is known what loading and computing cost: most machines compute a block in a hundred
// times as long as they copy one, and this many copies keep a step's tokens on time.
constexpr std::uint32_t unmeasured_loads = 32;
constexpr double unmeasured_block_us = 1000;

constexpr double any_time = std::numeric_limits<double>::infinity();
constexpr std::uint32_t no_block = std::numeric_limits<std::uint32_t>::max();

}  // namespace

StepTime::StepTime(std::uint32_t step_tokens, std::uint32_t context_tokens)
    : step_tokens_(step_tokens),
      context_tokens_(context_tokens),
      decode_costs_(step_tokens),
      mixed_costs_(step_tokens, StepCosts::Beyond::in_proportion) {}

// While nobody waits for a next token, what a full step of a prompt's beginning takes: further on a
// chunk costs more, and somebody may come who waits for a first one.
void StepTime::begin(const StepWork& decodes, std::uint32_t prefilling) {
  decodes_ = decodes;
  loads_ = 0;
  loaded_us_ = 0;
  longest_us_ = longest_with_brief_us_ = spare_us_ = any_time;
  if (decodes_.positions == 0 && mixed_costs_.known()) {
    StepWork full;
    full.add(0, step_tokens_);
    longest_us_ = longest_with_brief_us_ = spare_us_ = mixed_costs_.of(full);
  } else if (decodes_.positions > 0 && (decode_costs_.known() || mixed_costs_.known())) {
    const StepCosts& costs = decode_costs_.known() ? decode_costs_ : mixed_costs_;
    StepWork all = decodes_;
    all.positions += prefilling;
    longest_us_ = longer_by_prefill * costs.of(all);
    longest_with_brief_us_ = longer_by_brief_prefill * costs.of(all);
    spare_us_ = longest_us_ - costs.of(decodes_);
  }
  if (copied_from() > 0) load_cost_.fade();
}

// In full steps: attention makes later blocks dearer.
std::uint32_t StepTime::copied_from() const {
  if (!load_cost_.known()) return 0;
  if (!mixed_costs_.known()) return load_cost_.us() < unmeasured_block_us ? 0 : no_block;
  const StepWork full{step_tokens_, 0};
  const double first_us = mixed_costs_.of(full) * block_tokens / step_tokens_;
  if (load_cost_.us() < first_us) return 0;
  const double dearer_us = mixed_costs_.of_attention() * block_tokens * block_tokens;
  const double block = dearer_us > 0 ? (load_cost_.us() - first_us) / dearer_us : any_time;
  return block < context_tokens_ ? static_cast<std::uint32_t>(block) + 1 : no_block;
}

bool StepTime::may_load_one_more() const {
  if (!load_cost_.known() || spare_us_ == any_time) return loads_ < unmeasured_loads;
  return loads_ == 0 || loaded_us_ + load_cost_.us() <= spare_us_;
}

void StepTime::loaded(double us) {
  ++loads_;
  loaded_us_ += us;
  load_cost_.measured(us);
}

void StepTime::saved(double us) { save_cost_.measured(us); }

PrefillRoom StepTime::prefill_room(bool oldest_first) const {
  PrefillRoom room;
  room.positions = step_tokens_ - decodes_.positions;
  room.beside = decodes_;
  room.oldest_first = oldest_first;
  if (longest_us_ == any_time) return room;
  if (mixed_costs_.known()) {
    room.costs = &mixed_costs_;
    room.longest_us = longest_us_ - loaded_us_;
    room.longest_with_brief_us = longest_with_brief_us_ - loaded_us_;
    // Prefill beside answers leaves the store a block or so to copy, which the next token waits
    // for.
    if (decodes_.positions > 0) {
      room.longest_us -= save_cost_.us();
      room.longest_with_brief_us -= save_cost_.us();
    }
  } else {  // so many times as many positions take no longer than so many times as long
    const double more = (longer_by_prefill - 1) * decodes_.positions;
    room.positions = std::min(room.positions, std::max(1u, static_cast<std::uint32_t>(more)));
  }
  return room;
}

void StepTime::measured(bool mixed, const StepWork& work, double us) {
  (mixed ? mixed_costs_ : decode_costs_).measured(work, us);
}

}  // namespace aorta::engine
