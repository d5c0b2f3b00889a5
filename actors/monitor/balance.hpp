#pragma once
// The audit's sum: what every service says of itself, put side by side. Pure.
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace aorta::monitor {

// What an audit found; the figures are sums over all services.
struct Balance {
  std::vector<std::string> problems;  // empty: it balances
  std::map<std::string, std::int64_t> figures;
};

// `replies`: each service's audit JSON by its name; `silent`: members that did not answer.
//   accepted = ended + open                        at the admissions
//   running on executors = placed at admissions    with the scheduler's count equal to both
//   no KV block is used on an idle executor, no run is left of a request that has ended
Balance check_balance(const std::map<std::string, nlohmann::json>& replies,
                      const std::vector<std::string>& silent);

}  // namespace aorta::monitor
