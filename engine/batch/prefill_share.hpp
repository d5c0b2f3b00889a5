#pragma once
// How one step's prefill is divided among prompts.
#include <cstdint>
#include <limits>
#include <span>

#include "engine/batch/step_costs.hpp"

namespace aorta::engine {

struct PrefillShare {
  std::uint32_t first = 0;      // in: the next position to compute,
  std::uint32_t remaining = 0;  //     and how many are still to compute
  bool brief = false;      // in: all that it computes until its first token is a step's at most
  std::uint32_t take = 0;  // out: positions to compute in this step
};

// What a step has for prefill: positions, and time where it is known what they take.
struct PrefillRoom {
  std::uint32_t positions = 0;
  const StepCosts* costs = nullptr;                             // null: not known
  StepWork beside;                                              // what else the step computes
  double longest_us = std::numeric_limits<double>::infinity();  // all of it together,
  double longest_with_brief_us =
      std::numeric_limits<double>::infinity();  // and where brief ones wait
  bool oldest_first = true;  // one position at least is the oldest's; else perhaps another's
};

// `shares` are oldest first. Half of the room is the oldest's, so the longest prompt gets on; the
// other half goes to those with least left, so a short prompt need not wait for a long one; what
// they leave is the oldest's again. Brief ones come before all but that half, may take more time,
// and are finished one after the other, since a prompt that ends sooner delays none that ends last.
// At least one position is given, if there is one in the room: where it is worth more than the
// time left, take turns by `oldest_first`.
void divide_prefill(std::span<PrefillShare> shares, const PrefillRoom& room);

}  // namespace aorta::engine
