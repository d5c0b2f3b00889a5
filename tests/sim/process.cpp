#include "tests/sim/process.hpp"

#include "base/result.hpp"

namespace aorta::sim {

Process::Process(Timeline& timeline, Network& network, std::string name, mesh::ServiceKind kind,
                 std::string address)
    : timeline_(timeline), network_(network), name_(std::move(name)) {
  hello_.kind = kind;
  hello_.self.name = name_;
  hello_.host = "simulated";
  hello_.address = std::move(address);
}

void Process::boot() {
  AORTA_CHECK(!alive(), "a process lives once at a time");
  ++life_;
  hello_.self.incarnation.value =
      static_cast<std::uint64_t>(to_ms(timeline_.now().time_since_epoch())) << 16 | life_;
  hello_.pid = static_cast<std::uint32_t>(life_);
  exit_code_.reset();
  armed_ = never;
  paused_until_ = {};
  core_ = make_core(hello_);
  network_.attach(hello_.self, hello_.address, *this);
  turn([this](TimePoint now, mesh::Outbox& out) { core_->start(now, out); });
}

void Process::end_life() {
  network_.detach(hello_.self);
  core_.reset();
  waiting_.clear();
  ++life_;
  died();
}

void Process::kill() {
  if (alive()) end_life();
}

void Process::pause(TimePoint until) {
  if (!alive() || paused()) return;
  paused_until_ = until;
  timeline_.at(until, [this, life = life_] {
    if (life != life_) return;
    auto waiting = std::exchange(waiting_, {});
    for (auto& turn : waiting) {
      if (life == life_) run(turn);
    }
  });
}

void Process::drain() {
  turn([this](TimePoint now, mesh::Outbox& out) { core_->drain(now, out); });
}

void Process::deliver(const mesh::PeerId& from, const mesh::Message& message) {
  turn([this, from, message](TimePoint now, mesh::Outbox& out) {
    core_->receive(from, message, now, out);
  });
}

void Process::unreachable(const mesh::PeerId& peer) {
  turn([this, peer](TimePoint now, mesh::Outbox& out) { core_->unreachable(peer, now, out); });
}

void Process::turn(Turn turn) {
  if (!alive()) return;
  if (paused() || !waiting_.empty()) {
    waiting_.push_back(std::move(turn));
  } else {
    run(turn);
  }
}

void Process::run(const Turn& turn) {
  mesh::Outbox out;
  const std::uint64_t life = life_;
  turn(timeline_.now(), out);
  after_turn();
  flush(out);
  if (life == life_) arm();
}

void Process::flush(mesh::Outbox& out) {
  for (auto& dial : out.dials) network_.dial(hello_.self, dial.name, dial.address);
  for (auto& send : out.sends) network_.send(hello_.self, send.to, send.message);
  for (auto& name : out.hangups) network_.hang_up(hello_.self, name);
  if (!out.leave) return;
  exit_code_ = out.leave->exit_code;
  end_life();
  if (on_exit) on_exit(*this);
}

void Process::arm() {
  const TimePoint next = core_->next_tick();
  if (next == never || next >= armed_) return;
  armed_ = next;
  timeline_.at(next, [this, life = life_, next] {
    if (life != life_ || armed_ != next) return;
    armed_ = never;
    turn([this](TimePoint now, mesh::Outbox& out) {
      if (core_->next_tick() <= now) core_->tick(now, out);
    });
  });
}

}  // namespace aorta::sim
