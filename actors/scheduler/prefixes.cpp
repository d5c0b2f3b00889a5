#include "actors/scheduler/prefixes.hpp"

namespace aorta::scheduler {

// From the last to the first, so that a block is forgotten before those that it follows.
void Prefixes::note(std::span<const std::uint64_t> names, std::size_t most) {
  if (names.size() > most) names = names.first(most);
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    auto [place, added] = places_.try_emplace(*name);
    if (added) {
      place->second = order_.insert(order_.begin(), *name);
    } else {
      order_.splice(order_.begin(), order_, place->second);
    }
  }
  while (places_.size() > most) {
    places_.erase(order_.back());
    order_.pop_back();
  }
}

std::uint32_t Prefixes::known(std::span<const std::uint64_t> names) const {
  std::uint32_t count = 0;
  while (count < names.size() && places_.contains(names[count])) ++count;
  return count;
}

}  // namespace aorta::scheduler
