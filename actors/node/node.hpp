#pragma once
// The node agent's core: keeps this host's fixed services and as many executors as are desired,
// tells the scheduler and the monitor of each death at once, and on drain stops its children in the
// order that lets running requests finish: admission, executors, the rest.
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/attendance.hpp"
#include "actors/node/children.hpp"
#include "mesh/peering.hpp"
#include "mesh/service.hpp"

namespace aorta::node {

struct NodeOptions {
  actors::AttendanceOptions attendance;
  mesh::PeeringOptions peering;
  RestartOptions restart;
  std::vector<ChildSpec> fixed;  // in the order in which they are started
  std::uint32_t executors = 1;   // desired until the monitor says otherwise
  std::uint32_t max_executors = 64;
  std::string name_prefix = "executor";  // executor-1, executor-2 …
};

class Node final : public mesh::Service {
 public:
  Node(mesh::Hello self, NodeOptions options);

  const mesh::Hello& self() const override { return peering_.self(); }
  void start(TimePoint now, mesh::Outbox& out) override;
  void receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
               mesh::Outbox& out) override;
  void unreachable(const mesh::PeerId& peer, TimePoint now, mesh::Outbox& out) override;
  void drain(TimePoint now, mesh::Outbox& out) override;
  void tick(TimePoint now, mesh::Outbox& out) override;
  TimePoint next_tick() const override;

  // From the spawner.
  void child_started(const std::string& name, std::uint32_t pid, Incarnation incarnation,
                     TimePoint now, mesh::Outbox& out);
  void child_exited(const std::string& name, const Death& death, TimePoint now, mesh::Outbox& out);
  // The spawner is gone, and with it every child's parent: nothing can be kept running.
  void spawner_gone(TimePoint now, mesh::Outbox& out);

  std::vector<ChildAction> take_actions() { return children_.take_actions(); }
  const std::map<std::string, Child>& children() const { return children_.all(); }
  // Every fixed service and every desired executor is ready.
  bool whole() const;

 private:
  void on_desired(const mesh::Desired& desired, TimePoint now);
  void reconcile(TimePoint now, mesh::Outbox& out);
  void reconcile_executors(TimePoint now);
  void stop_in_order(TimePoint now, mesh::Outbox& out);
  std::vector<const Child*> executors(bool stopping_too) const;
  std::string free_name() const;
  bool is_ready(const Child& child) const;
  mesh::NodeReport report() const;
  std::vector<mesh::Figure> figures() const;
  mesh::ServiceState state() const;

  NodeOptions options_;
  mesh::Peering peering_;
  actors::Attendance attendance_;
  Children children_;
  std::uint32_t desired_;
  bool draining_ = false;
  std::optional<mesh::Outbox::Leave> leave_;  // once all children are gone
  mesh::Membership membership_;
  mesh::NodeReport reported_;
  std::uint64_t deaths_ = 0, crashes_ = 0;
};

}  // namespace aorta::node
