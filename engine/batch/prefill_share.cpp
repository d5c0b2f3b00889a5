#include "engine/batch/prefill_share.hpp"

#include <algorithm>

namespace aorta::engine {
namespace {

class Division {
 public:
  explicit Division(const PrefillRoom& room) : room_(room), work_(room.beside) {}

  // As many more positions as keep the step's cost to `most`.
  void give(PrefillShare& share, double most) {
    std::uint32_t within = share.take;
    std::uint32_t beyond = share.take + std::min(share.remaining - share.take, left()) + 1;
    while (beyond - within > 1) {
      const std::uint32_t take = within + (beyond - within) / 2;
      (cost(with(share, take)) <= most ? within : beyond) = take;
    }
    take(share, within);
  }
  void give_one(PrefillShare& share) {
    if (share.take == 0 && share.remaining > 0 && left() > 0) take(share, 1);
  }

  double most() const {
    return room_.costs ? room_.longest_us : room_.beside.positions + room_.positions;
  }
  double most(const PrefillShare& share) const {
    return share.brief && room_.costs ? room_.longest_with_brief_us : most();
  }
  // Of whole positions where only they count, the odd one is whose turn it is.
  double half() const {
    const double middle = (cost(room_.beside) + most()) / 2;
    return room_.costs || !room_.oldest_first ? middle : middle + 0.5;
  }

 private:
  std::uint32_t left() const {
    return room_.positions - (work_.positions - room_.beside.positions);
  }
  double cost(const StepWork& work) const {
    return room_.costs ? room_.costs->of(work) : work.positions;
  }
  StepWork with(const PrefillShare& share, std::uint32_t take) const {
    StepWork work = work_;
    if (share.take > 0) work.remove(share.first, share.take);
    if (take > 0) work.add(share.first, take);
    return work;
  }
  void take(PrefillShare& share, std::uint32_t positions) {
    work_ = with(share, positions);
    share.take = positions;
  }

  const PrefillRoom& room_;
  StepWork work_;
};

bool goes_before(const PrefillShare& a, const PrefillShare& b) {
  return a.brief != b.brief ? a.brief : a.remaining < b.remaining;
}

// Few wait at a time: looking for the least left each time is cheaper than sorting.
PrefillShare* shortest_of(std::span<PrefillShare> shares) {
  PrefillShare* shortest = nullptr;
  for (PrefillShare& share : shares) {
    if (share.take > 0 || share.remaining == 0) continue;
    if (shortest == nullptr || goes_before(share, *shortest)) shortest = &share;
  }
  return shortest;
}

}  // namespace

void divide_prefill(std::span<PrefillShare> shares, const PrefillRoom& room) {
  for (PrefillShare& share : shares) share.take = 0;
  if (shares.empty()) return;
  Division division(room);
  PrefillShare& oldest = shares.front();
  division.give(oldest, oldest.brief ? division.most(oldest) : division.half());
  if (room.oldest_first) division.give_one(oldest);
  while (PrefillShare* shortest = shortest_of(shares.subspan(1))) {
    division.give(*shortest, division.most(*shortest));
    if (shortest->take == 0) break;
  }
  division.give(oldest, division.most());
  PrefillShare* shortest = shortest_of(shares.subspan(1));
  const bool nobody = std::all_of(shares.begin(), shares.end(),
                                  [](const PrefillShare& share) { return share.take == 0; });
  if (nobody) division.give_one(shortest == nullptr ? oldest : *shortest);
}

}  // namespace aorta::engine
