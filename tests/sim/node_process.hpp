#pragma once
// A node agent and its spawner. The world starts and signals the children; it tells their deaths.
#include <functional>

#include "actors/node/node.hpp"
#include "tests/sim/core_process.hpp"

namespace aorta::sim {

class NodeProcess final : public CoreProcess<node::Node> {
 public:
  using CoreProcess::CoreProcess;
  // What the spawner is asked: to start a child, of which it answers pid and incarnation, or to
  // signal one.
  struct Started {
    std::uint32_t pid = 0;
    Incarnation incarnation;
  };
  std::function<Started(const node::ChildSpec&)> start_child;
  std::function<void(const node::SignalChild&)> signal_child;
  std::function<void()> on_death;  // the spawner then drains the children

  // A child of this life of the agent died.
  void child_exited(std::uint64_t agent_life, const std::string& name, const node::Death& death) {
    timeline_.after(Duration(300), [this, agent_life, name, death] {
      if (agent_life != life()) return;
      turn([this, name, death](TimePoint now, mesh::Outbox& out) {
        core_->child_exited(name, death, now, out);
      });
    });
  }
  std::uint64_t agent_life() const { return life(); }

 protected:
  void after_turn() override {
    for (const node::ChildAction& action : core_->take_actions()) {
      timeline_.after(Duration(500), [this, action, life = life()] {
        if (life == this->life()) carry(action);
      });
    }
  }
  void died() override { on_death(); }

 private:
  void carry(const node::ChildAction& action) {
    if (const auto* signal = std::get_if<node::SignalChild>(&action)) return signal_child(*signal);
    const std::string& name = std::get<node::StartChild>(action).spec.name;
    const Started started = start_child(std::get<node::StartChild>(action).spec);
    turn([this, name, started](TimePoint now, mesh::Outbox& out) {
      core_->child_started(name, started.pid, started.incarnation, now, out);
    });
  }
};

}  // namespace aorta::sim
