#include "engine/batch/prefill_share.hpp"

#include <algorithm>

namespace aorta::engine {

void divide_prefill(std::span<PrefillShare> shares, std::uint32_t budget) {
  const auto give = [&](PrefillShare& share, std::uint32_t at_most) {
    const std::uint32_t more = std::min({share.remaining - share.take, at_most, budget});
    share.take += more;
    budget -= more;
  };
  for (PrefillShare& share : shares) share.take = 0;
  if (shares.empty()) return;
  give(shares.front(), (budget + 1) / 2);
  while (budget > 0) {
    // Few sequences wait at a time: looking for the least left each time is cheaper than sorting.
    PrefillShare* shortest = nullptr;
    for (PrefillShare& share : shares.subspan(1)) {
      if (share.take > 0 || share.remaining == 0) continue;
      if (shortest == nullptr || share.remaining < shortest->remaining) shortest = &share;
    }
    if (shortest == nullptr) break;
    give(*shortest, budget);
  }
  give(shares.front(), budget);
}

}  // namespace aorta::engine
