#pragma once
// Why an epoch was lost, by the names that figures, audits and logs use.
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "actors/figures.hpp"

namespace aorta::actors {

inline constexpr std::array<std::string_view, 8> lost_reasons{
    "dead", "stalled", "superseded", "draining", "preempted", "refused", "unclaimed", "lease"};

constexpr std::string_view name_of(mesh::LostReason reason) {
  const auto index = static_cast<std::size_t>(reason);
  return index < lost_reasons.size() ? lost_reasons[index] : "unknown";
}
static_assert(name_of(mesh::LostReason::dead) == "dead");
static_assert(name_of(mesh::LostReason::lease) == "lease");

// A counter for every reason, also those that have not occurred: a series that is there from the
// beginning shows its first increase.
inline void append_by_reason(std::vector<mesh::Figure>& figures, const std::string& name,
                             const std::map<mesh::LostReason, std::uint64_t>& totals) {
  for (std::size_t i = 0; i < lost_reasons.size(); ++i) {
    const auto total = totals.find(static_cast<mesh::LostReason>(i));
    figures.push_back(counter(name, label("reason", lost_reasons[i]),
                              total == totals.end() ? 0 : double(total->second)));
  }
}

}  // namespace aorta::actors
