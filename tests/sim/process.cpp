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
  // Twins may begin in the same millisecond, but not at the same event.
  const std::uint64_t chance = stable_hash(name_, timeline_.events());
  hello_.self.incarnation.value =
      static_cast<std::uint64_t>(to_ms(timeline_.now().time_since_epoch())) << 16 |
      (chance & 0xffff);
  hello_.pid = static_cast<std::uint32_t>(chance >> 16 & 0x3fffff) + 1;
  clock_ = std::chrono::minutes(chance >> 40 & 0x3ff);
  exit_code_.reset();
  armed_ = never;
  paused_until_ = slow_until_ = {};
  core_ = make_core(hello_);
  port_ = network_.attach(hello_.self, hello_.address, *this);
  turn([this](TimePoint now, mesh::Outbox& out) { core_->start(now, out); });
}

void Process::end_life() {
  network_.detach(port_);
  core_.reset();
  waiting_.clear();
  waking_ = false;
  ++life_;
  died();
}

void Process::kill() {
  if (alive()) end_life();
}

void Process::pause(TimePoint until) {
  if (alive()) paused_until_ = std::max(paused_until_, until);
}

void Process::slow(TimePoint until, Duration turn) {
  if (!alive()) return;
  slow_until_ = until;
  slow_turn_ = turn;
}

void Process::step_clock(Duration ahead) {
  if (!alive()) return;
  clock_ += ahead;
  armed_ = never;
  turn([](TimePoint, mesh::Outbox&) {});  // its timers are nearer now
}

void Process::drain() {
  turn([this](TimePoint now, mesh::Outbox& out) { core_->drain(now, out); });
}

void Process::deliver(const mesh::PeerId& from, const mesh::Message& message) {
  if (alive() && waiting_.empty() && !paused() && !slowed()) {
    return run([&](TimePoint now, mesh::Outbox& out) {
      before_message(from, message);
      core_->receive(from, message, now, out);
    });
  }
  turn([this, from, message](TimePoint now, mesh::Outbox& out) {
    before_message(from, message);
    core_->receive(from, message, now, out);
  });
}

void Process::unreachable(const mesh::PeerId& peer) {
  turn([this, peer](TimePoint now, mesh::Outbox& out) { core_->unreachable(peer, now, out); });
}

void Process::wake() {
  if (waking_) return;
  waking_ = true;
  const TimePoint slowly = slowed() ? timeline_.now() + slow_turn_ : timeline_.now();
  timeline_.at(std::max(slowly, paused_until_), [this, life = life_] {
    if (life == life_) work_off();
  });
}

void Process::work_off() {
  waking_ = false;
  const std::uint64_t life = life_;
  while (life == life_ && !waiting_.empty()) {
    if (paused()) return wake();
    const Turn next = std::move(waiting_.front());
    waiting_.pop_front();
    run(next);
    if (life == life_ && slowed() && !waiting_.empty()) return wake();
  }
}

void Process::flush(mesh::Outbox& out) {
  for (auto& dial : out.dials) network_.dial(port_, dial.name, dial.address);
  for (auto& send : out.sends) network_.send(port_, send.to, send.message);
  for (auto& name : out.hangups) network_.hang_up(port_, name);
  if (!out.leave) return;
  exit_code_ = out.leave->exit_code;
  end_life();
  if (on_exit) on_exit(*this);
}

void Process::recycle(mesh::Outbox& out) {
  out.sends.clear();
  out.dials.clear();
  out.hangups.clear();
  out.forgeries.clear();
  out.leave.reset();
  spare_ = std::move(out);
}

void Process::arm() {
  const TimePoint due = core_->next_tick();
  if (due == never) return;
  const TimePoint next = std::max(due - clock_, timeline_.now());
  if (next >= armed_) return;
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
