#include "services/audit_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace aorta::services {
namespace {

using nlohmann::json;

constexpr std::size_t most_requests = 10;  // of each admission; --json tells all

std::string figures_text(const json& figures) {
  const auto of = [&](const char* name) { return figures.value(name, std::uint64_t{0}); };
  return fmt::format(
      "requests   {} accepted = {} ended + {} open ({} held, {} queued, {} placed, {} parked); {} "
      "rejected\n"
      "epochs     {}, of which {} were lost and went on elsewhere\n"
      "executors  {} run {} requests, use {} blocks and have {} tokens not acknowledged\n",
      of("accepted"), of("ended"), of("open"), of("held"), of("queued"), of("placed"),
      of("parked"), of("rejected"), of("epochs"), of("epochs_lost"), of("executors"),
      of("running"), of("blocks_used"), of("unacked_tokens"));
}

std::string executors_of(const json& request) {
  std::string executors;
  for (const auto& epoch : request.value("epochs", json::array())) {
    executors += (executors.empty() ? "" : " > ") + epoch.value("executor", "?");
  }
  return executors;
}

std::string requests_text(const json& service) {
  const auto found = service.find("requests");
  if (found == service.end() || !found->is_array() || found->empty()) return "";  // no admission
  const json& requests = *found;
  std::string text = fmt::format("\n{:<32}  {:<12} {:<8} {:<10} {:>7} {:>7}  {}\n", "REQUEST",
                                 "TENANT", "TIER", "STATE", "PROMPT", "TOKENS", "EXECUTORS");
  const std::size_t shown = std::min(requests.size(), most_requests);
  for (auto it = requests.end() - static_cast<std::ptrdiff_t>(shown); it != requests.end(); ++it) {
    text += fmt::format("{:<32}  {:<12} {:<8} {:<10} {:>7} {:>7}  {}\n", it->value("id", ""),
                        it->value("tenant", ""), it->value("tier", ""), it->value("state", ""),
                        it->value("prompt_tokens", 0), it->value("tokens", 0), executors_of(*it));
  }
  if (requests.size() > shown) {
    text += fmt::format("and {} more: aorta audit --json\n", requests.size() - shown);
  }
  return text;
}

}  // namespace

std::string audit_text(const json& audit) {
  std::string text = audit.value("balanced", false) ? "balanced\n" : "DOES NOT BALANCE\n";
  text += figures_text(audit.value("figures", json::object()));
  for (const auto& problem : audit.value("problems", json::array())) {
    text += "problem    " + problem.get<std::string>() + '\n';
  }
  for (const auto& service : audit.value("services", json::array())) text += requests_text(service);
  return text;
}

}  // namespace aorta::services
