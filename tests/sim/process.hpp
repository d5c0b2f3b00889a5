#pragma once
// A simulated process: a core, its sockets on the simulated network, its ticks on the timeline.
// It can be killed, restarted under the same name with a newer incarnation, and paused (SIGSTOP:
// what arrives waits). Subclasses add what a shell adds: an engine, clients.
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "mesh/service.hpp"
#include "tests/sim/network.hpp"

namespace aorta::sim {

class Process : public Network::Endpoint {
 public:
  Process(Timeline& timeline, Network& network, std::string name, mesh::ServiceKind kind,
          std::string address);

  void boot();  // a new life
  void kill();
  void pause(TimePoint until);
  void drain();
  bool alive() const { return core_ != nullptr; }
  bool paused() const { return timeline_.now() < paused_until_; }
  const std::string& name() const { return name_; }
  const mesh::PeerId& self() const { return hello_.self; }
  std::optional<int> exit_code() const { return exit_code_; }
  std::function<void(Process&)> on_exit;  // it left by itself

  void deliver(const mesh::PeerId& from, const mesh::Message& message) override;
  void unreachable(const mesh::PeerId& peer) override;

 protected:
  using Turn = std::function<void(TimePoint, mesh::Outbox&)>;
  virtual std::unique_ptr<mesh::Service> make_core(const mesh::Hello& hello) = 0;
  virtual void after_turn() {}
  virtual void died() {}
  // Runs at once, or when the pause ends; never after the death of this life.
  void turn(Turn turn);
  void flush(mesh::Outbox& out);
  std::uint64_t life() const { return life_; }

  Timeline& timeline_;
  Network& network_;

 private:
  void run(const Turn& turn);
  void arm();
  void end_life();

  std::string name_;
  mesh::Hello hello_;
  std::unique_ptr<mesh::Service> core_;
  std::uint64_t life_ = 0;
  std::deque<Turn> waiting_;  // while paused
  TimePoint paused_until_{};
  TimePoint armed_ = never;
  std::optional<int> exit_code_;
};

}  // namespace aorta::sim
