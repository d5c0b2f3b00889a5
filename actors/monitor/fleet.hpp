#pragma once
// What the monitor knows of who runs where: the scheduler's membership joined with what the node
// agents say of their children, and how many executors are wanted.
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "mesh/messages.hpp"
#include "mesh/routing_id.hpp"

namespace aorta::monitor {

class Fleet {
 public:
  Fleet(const mesh::Hello& self, std::uint32_t max_executors)
      : self_(self), max_executors_(max_executors) {}

  void on_membership(const mesh::Membership& membership);
  void on_node_report(const std::string& node, const mesh::NodeReport& report);
  void on_died(const mesh::ChildDied& died);
  void node_gone(const std::string& node) { nodes_.erase(node); }

  // ── Size ───────────────────────────────────────────────────────────────────────────────────
  std::uint32_t desired() const;  // in all
  bool decided() const { return desired_.has_value(); }
  bool has_nodes() const { return !nodes_.empty(); }
  std::uint32_t max_executors() const { return max_executors_; }
  void scale(std::uint32_t executors) { desired_ = executors; }
  // False: no node agent runs an executor of that name.
  bool drain(const std::string& executor);
  // Each node agent's share, evenly, and what of `draining` are its children.
  std::map<std::string, mesh::Desired> shares() const;
  mesh::Desired whole() const;  // for the scheduler

  // ── State ──────────────────────────────────────────────────────────────────────────────────
  const mesh::Member* find(const std::string& name) const;
  const std::vector<mesh::Member>& members() const { return membership_.members; }
  // Ready are as many executors as desired, and none is leaving.
  bool settled() const;
  bool known(const std::string& name) const;  // as a member or a child
  bool is_child(const std::string& name) const { return child(name) != nullptr; }
  // nullopt: it is ready; else a sentence. `mesh` means all that is needed to serve; a node agent
  // is as ready as what it runs.
  std::optional<std::string> why_not_ready(const std::string& name) const;
  nlohmann::json processes() const;  // for ps
  std::vector<mesh::Figure> figures() const;

 private:
  const mesh::NodeReport::Child* child(const std::string& name) const;
  const mesh::NodeReport::Child* unready_child(const std::string& node) const;
  std::uint32_t count(mesh::ServiceKind kind, mesh::ServiceState state) const;

  mesh::Hello self_;
  std::uint32_t max_executors_;
  mesh::Membership membership_;
  std::map<std::string, mesh::NodeReport> nodes_;
  std::optional<std::uint32_t> desired_;           // since somebody said so
  std::map<std::string, std::uint32_t> draining_;  // executor → pid
  std::uint64_t deaths_ = 0, crashes_ = 0;
};

using mesh::name_of;  // of kinds
const char* name_of(mesh::ServiceState state);

}  // namespace aorta::monitor
