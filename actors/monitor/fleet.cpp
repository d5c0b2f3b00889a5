#include "actors/monitor/fleet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace aorta::monitor {

using mesh::ServiceKind;
using mesh::ServiceState;

const char* name_of(ServiceState state) {
  constexpr const char* names[] = {"starting", "ready", "draining", "stopping", "dead"};
  const auto i = static_cast<std::size_t>(state);
  return i < std::size(names) ? names[i] : "unknown";
}

void Fleet::on_membership(const mesh::Membership& membership) {
  membership_ = membership;
  for (const mesh::Member& member : membership_.members) {
    if (member.kind == ServiceKind::node && member.state == ServiceState::dead) {
      node_gone(member.self.name);
    }
  }
}

void Fleet::on_node_report(const std::string& node, const mesh::NodeReport& report) {
  nodes_[node] = report;
  std::erase_if(draining_, [&](const auto& entry) {
    const auto* it = child(entry.first);
    return it == nullptr || it->pid != entry.second;  // gone, or the name is another's by now
  });
}

void Fleet::on_died(const mesh::ChildDied& died) {
  ++deaths_;
  if (died.counted_crash) ++crashes_;
}

const mesh::NodeReport::Child* Fleet::child(const std::string& name) const {
  for (const auto& [node, report] : nodes_) {
    for (const auto& child : report.children) {
      if (child.name == name) return &child;
    }
  }
  return nullptr;
}

const mesh::NodeReport::Child* Fleet::unready_child(const std::string& node) const {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return nullptr;
  for (const auto& child : found->second.children) {
    const bool leaves = child.state == ServiceState::draining;  // as it should
    if (child.state != ServiceState::ready && !leaves) return &child;
  }
  return nullptr;
}

const mesh::Member* Fleet::find(const std::string& name) const {
  for (const mesh::Member& member : membership_.members) {
    if (member.self.name == name) return &member;
  }
  return nullptr;
}

bool Fleet::known(const std::string& name) const { return find(name) || child(name); }

std::uint32_t Fleet::desired() const {
  if (desired_) return *desired_;
  std::uint32_t sum = 0;
  for (const auto& [node, report] : nodes_) sum += report.desired_executors;
  return sum;
}

bool Fleet::drain(const std::string& executor) {
  const auto* found = child(executor);
  if (!found || found->kind != ServiceKind::executor) return false;
  if (draining_.contains(executor) || found->state == ServiceState::draining) return true;
  const std::uint32_t before = desired();
  desired_ = before > 0 ? before - 1 : 0;
  draining_[executor] = found->pid;
  return true;
}

std::map<std::string, mesh::Desired> Fleet::shares() const {
  std::map<std::string, mesh::Desired> shares;
  const std::uint32_t total = desired();
  const auto count = static_cast<std::uint32_t>(nodes_.size());
  std::uint32_t turn = 0;
  for (const auto& [node, report] : nodes_) {
    mesh::Desired share{total / count + (turn++ < total % count ? 1 : 0), {}};
    for (const auto& child : report.children) {
      if (draining_.contains(child.name)) share.draining.push_back(child.name);
    }
    shares[node] = std::move(share);
  }
  return shares;
}

mesh::Desired Fleet::whole() const {
  mesh::Desired whole{desired(), {}};
  for (const auto& [name, pid] : draining_) whole.draining.push_back(name);
  return whole;
}

std::uint32_t Fleet::count(ServiceKind kind, ServiceState state) const {
  return static_cast<std::uint32_t>(std::count_if(
      membership_.members.begin(), membership_.members.end(),
      [&](const mesh::Member& member) { return member.kind == kind && member.state == state; }));
}

bool Fleet::settled() const {
  if (count(ServiceKind::executor, ServiceState::ready) != desired()) return false;
  for (const auto& [node, report] : nodes_) {
    for (const auto& child : report.children) {
      if (child.kind == ServiceKind::executor && child.state != ServiceState::ready) return false;
    }
  }
  return draining_.empty();
}

std::optional<std::string> Fleet::why_not_ready(const std::string& name) const {
  if (name == "mesh") {
    if (membership_.members.empty()) return "the monitor does not hear the scheduler yet";
    if (count(ServiceKind::admission, ServiceState::ready) == 0) return "no admission is ready";
    if (count(ServiceKind::executor, ServiceState::ready) == 0) return "no executor is ready";
    return std::nullopt;
  }
  if (name == "executors") {
    if (settled()) return std::nullopt;
    return fmt::format("{} executors are ready, {} are wanted",
                       count(ServiceKind::executor, ServiceState::ready), desired());
  }
  if (name == self_.self.name) return std::nullopt;
  if (const auto* waits = unready_child(name)) {
    return fmt::format("{} runs {}, which is {}", name, waits->name, name_of(waits->state));
  }
  const mesh::Member* member = find(name);
  if (member && member->kind == ServiceKind::node && !nodes_.contains(name)) {
    return fmt::format("{} has not said yet what it runs", name);
  }
  if (member && member->state == ServiceState::ready) return std::nullopt;
  if (member) return fmt::format("{} is {}", name, name_of(member->state));
  if (const auto* found = child(name)) {
    return fmt::format("{} is {}", name, name_of(found->state));
  }
  std::vector<std::string> names{"mesh", "executors", self_.self.name};
  for (const mesh::Member& other : membership_.members) names.push_back(other.self.name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return fmt::format("there is no service '{}'; there are {}", name, fmt::join(names, ", "));
}

nlohmann::json Fleet::processes() const {
  nlohmann::json list = nlohmann::json::array();
  const auto add = [&](ServiceKind kind, const std::string& name, std::uint32_t pid,
                       Incarnation incarnation, ServiceState state, const std::string& address) {
    nlohmann::json addresses = nlohmann::json::array();
    if (!address.empty()) addresses.push_back(address);
    list.push_back({{"service", name_of(kind)},
                    {"name", name},
                    {"pid", pid},
                    {"incarnation", incarnation.value},
                    {"state", name_of(state)},
                    {"addresses", addresses}});
  };
  for (const mesh::Member& member : membership_.members) {
    // A dead life whose next one is on its way is not the news: the node agent's word is.
    if (member.state == ServiceState::dead && child(member.self.name)) continue;
    add(member.kind, member.self.name, member.pid, member.self.incarnation, member.state,
        member.address);
  }
  if (!find(self_.self.name)) {
    add(ServiceKind::monitor, self_.self.name, self_.pid, self_.self.incarnation,
        ServiceState::ready, self_.address);
  }
  for (const auto& [node, report] : nodes_) {
    for (const auto& child : report.children) {
      const mesh::Member* member = find(child.name);
      if (child.name == self_.self.name || (member && member->state != ServiceState::dead))
        continue;
      add(child.kind, child.name, child.pid, {}, child.state, "");
    }
  }
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
    return std::tie(a["service"], a["name"]) < std::tie(b["service"], b["name"]);
  });
  return list;
}

std::vector<mesh::Figure> Fleet::figures() const {
  std::vector<mesh::Figure> figures{
      {"aorta_desired_executors", "", double(desired())},
      {"aorta_executors_ready", "", double(count(ServiceKind::executor, ServiceState::ready))},
      {"aorta_child_deaths_total", "", double(deaths_), mesh::FigureKind::counter},
      {"aorta_child_crashes_total", "", double(crashes_), mesh::FigureKind::counter}};
  for (const mesh::Member& member : membership_.members) {
    figures.push_back(
        {"aorta_up",
         fmt::format("service=\"{}\",kind=\"{}\"", member.self.name, name_of(member.kind)),
         member.state == ServiceState::ready ? 1.0 : 0.0});
  }
  return figures;
}

}  // namespace aorta::monitor
