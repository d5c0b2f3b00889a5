#include "tests/sim/coverage.hpp"

#include <fmt/format.h>

namespace aorta::sim {

std::string_view name_of(Stage stage) {
  static constexpr std::array<std::string_view, stage_count> names{
      "held", "queued", "placed", "prefill", "recompute", "decode", "tail", "parked", "unread"};
  return names[static_cast<std::size_t>(stage)];
}

void Coverage::add(const Coverage& other) {
  for (const auto& [fault, count] : other.times) times[fault] += count;
  for (const auto& [fault, row] : other.hits) {
    Row& sum = hits[fault];
    for (std::size_t i = 0; i < stage_count; ++i) sum[i] += row[i];
  }
}

std::string Coverage::table() const {
  std::string text = fmt::format("{:24} {:>8}", "fault", "times");
  for (std::size_t i = 0; i < stage_count; ++i) {
    text += fmt::format(" {:>9}", name_of(static_cast<Stage>(i)));
  }
  text += '\n';
  std::size_t places = 0, well = 0;
  constexpr std::uint64_t enough = 100;
  for (const auto& [fault, count] : times) {
    text += fmt::format("{:24} {:8}", fault, count);
    const auto row = hits.find(fault);
    for (std::size_t i = 0; i < stage_count; ++i) {
      const std::uint64_t hit = row == hits.end() ? 0 : row->second[i];
      text += fmt::format(" {:9}", hit);
      ++places;
      well += hit >= enough ? 1 : 0;
    }
    text += '\n';
  }
  return text + fmt::format("{} of {} places were hit {} times or more\n", well, places, enough);
}

}  // namespace aorta::sim
