#pragma once
// A simulated process: a core, its sockets on the simulated network, its ticks on the timeline.
// It can be killed, restarted under the same name with a newer incarnation, paused (SIGSTOP: what
// arrives waits) and slowed (each turn takes long). It has a clock of its own, which can jump
// ahead: no time point means the same to two processes. Subclasses add what a shell adds.
#include <deque>
#include <functional>
#include <memory>
#include <optional>
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
  void slow(TimePoint until, Duration turn);
  void step_clock(Duration ahead);
  void drain();

  bool alive() const { return core_ != nullptr; }
  bool paused() const { return timeline_.now() < paused_until_; }
  bool slowed() const { return timeline_.now() < slow_until_; }
  bool behind() const { return !waiting_.empty(); }  // it has not yet seen all that has come
  const std::string& name() const { return name_; }
  const mesh::PeerId& self() const { return hello_.self; }
  mesh::ServiceKind kind() const { return hello_.kind; }
  std::optional<int> exit_code() const { return exit_code_; }
  // Its own clock.
  TimePoint now() const { return timeline_.now() + clock_; }

  std::function<void(Process&)> on_exit;  // it left by itself
  std::function<void(Process&)> on_turn;  // after each of its turns: safety is checked there

  void deliver(const mesh::PeerId& from, const mesh::Message& message) override;
  void unreachable(const mesh::PeerId& peer) override;

 protected:
  using Turn = std::function<void(TimePoint, mesh::Outbox&)>;
  virtual std::unique_ptr<mesh::Service> make_core(const mesh::Hello& hello) = 0;
  virtual void before_message(const mesh::PeerId&, const mesh::Message&) {}
  virtual void after_turn() {}
  virtual void died() {}
  // Runs at once, or when the process is let run again; never after the death of this life.
  template <class F>
  void turn(F&& f) {
    if (!alive()) return;
    if (waiting_.empty() && !paused() && !slowed()) return run(f);
    waiting_.emplace_back(std::forward<F>(f));
    wake();
  }
  std::uint64_t life() const { return life_; }

  Timeline& timeline_;
  Network& network_;

 private:
  template <class F>
  void run(F&& f) {
    mesh::Outbox out = std::exchange(spare_, {});
    const std::uint64_t life = life_;
    f(now(), out);
    after_turn();
    flush(out);
    if (life == life_ && on_turn) on_turn(*this);
    if (life == life_) arm();
    recycle(out);
  }
  void wake();
  void work_off();
  void flush(mesh::Outbox& out);
  void recycle(mesh::Outbox& out);
  void arm();
  void end_life();

  std::string name_;
  mesh::Hello hello_;
  std::unique_ptr<mesh::Service> core_;
  Network::Port* port_ = nullptr;
  std::uint64_t life_ = 0;
  Duration clock_{};
  mesh::Outbox spare_;  // its memory is used again
  std::deque<Turn> waiting_;
  bool waking_ = false;
  TimePoint paused_until_{}, slow_until_{};
  Duration slow_turn_{};
  TimePoint armed_ = never;  // timeline's
  std::optional<int> exit_code_;
};

}  // namespace aorta::sim
