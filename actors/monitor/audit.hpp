#pragma once
// One `aorta audit` under way. Answers come from different moments, so a round that does not
// balance is repeated until one does or the time is over.
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "actors/monitor/monitor.hpp"

namespace aorta::monitor {

struct Monitor::Audit {
  mesh::PeerId tool;
  std::uint64_t token = 0;        // the tool's
  TimePoint deadline{};           // of the last round
  std::uint64_t round_token = 0;  // 0: between two rounds
  TimePoint round_until{};        // its end, or the beginning of the next
  std::set<std::string> awaited;
  std::map<std::string, nlohmann::json> replies;
  bool answered = false;
};

}  // namespace aorta::monitor
