#pragma once
// The node agent on the loop: its core's actions go to the spawner, the spawner's events to the
// core.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/node/node.hpp"
#include "actors/node/spawner.hpp"
#include "actors/shell.hpp"

namespace aorta::node {

struct NodeShellOptions {
  // Arguments of `aorta` that run this child as this life of it.
  std::function<std::vector<std::string>(const ChildSpec&, Incarnation)> arguments;
  std::function<Incarnation()> draw_incarnation;
  std::string log_folder;          // a file per child; empty: they write to our own stderr
  std::function<void()> on_whole;  // once, when every child is ready for the first time
};

class NodeShell final : public actors::Shell {
 public:
  NodeShell(actors::Host& host, std::unique_ptr<Node> core, Spawner& spawner,
            NodeShellOptions options);
  ~NodeShell() override;
  void signal_children(int signal);  // each that runs

 protected:
  void after_turn(TimePoint now) override;

 private:
  struct Watch;  // the spawner's socket on the loop
  void wait_for_events();
  void on_event(const SpawnEvent& event);
  std::string log_of(const std::string& child) const;

  Node& node_;
  Spawner& spawner_;
  NodeShellOptions options_;
  std::map<std::string, Incarnation> incarnations_;  // of those being started
  std::unique_ptr<Watch> watch_;
  bool was_whole_ = false;
};

}  // namespace aorta::node
