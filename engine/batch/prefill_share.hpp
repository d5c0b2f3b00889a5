#pragma once
// How one step's prefill budget is divided among prompts.
#include <cstdint>
#include <span>

namespace aorta::engine {

struct PrefillShare {
  std::uint32_t remaining = 0;  // in: positions still to compute
  std::uint32_t take = 0;       // out: positions to compute in this step
};

// `shares` are oldest first. Half of the budget is the oldest's, so the longest prompt gets on; the
// other half goes to those with least left, so a short prompt need not wait for a long one; what
// they leave is the oldest's again. No more than `budget` is given, all of it if there is work.
void divide_prefill(std::span<PrefillShare> shares, std::uint32_t budget);

}  // namespace aorta::engine
