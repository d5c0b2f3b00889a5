#pragma once
// A scheduler under a manual clock, and members that say what a test wants them to say.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "actors/scheduler/scheduler.hpp"

namespace aorta::scheduler {

using namespace std::chrono_literals;

inline mesh::PeerId peer(const std::string& name, std::uint64_t incarnation = 1) {
  return {name, Incarnation{incarnation}};
}

inline mesh::RequestKey key(std::uint64_t n, std::uint32_t epoch = 1) {
  return {{1, n}, Epoch{epoch}};
}

inline mesh::OpenRequest open_request(std::uint64_t n, std::uint32_t epoch = 1) {
  mesh::OpenRequest open;
  open.key = key(n, epoch);
  open.tier = mesh::Tier::high;
  open.tenant = "tenant";
  open.model = "m";
  open.prompt_tokens = 32;
  open.max_tokens = 100;
  return open;
}

inline mesh::OpenRequest open_at(std::uint64_t n, const mesh::PeerId& executor,
                                 std::uint32_t epoch = 1) {
  mesh::OpenRequest open = open_request(n, epoch);
  open.executor = executor;
  return open;
}

inline mesh::RunningRequest running(std::uint64_t n, std::uint32_t epoch = 1) {
  return {key(n, epoch), "admission", TokenIndex{0}, false};
}

class SchedulerTest : public ::testing::Test {
 protected:
  // Started, settled, with an admission.
  void SetUp() override {
    scheduler_.start(now_, out_);
    hello(mesh::ServiceKind::admission, admission_);
    advance(300ms);
    out_ = {};
  }

  void hello(mesh::ServiceKind kind, const mesh::PeerId& self) {
    mesh::Hello hello;
    hello.kind = kind;
    hello.self = self;
    hello.address = "ipc://" + self.name;
    receive(self, hello);
  }
  void receive(const mesh::PeerId& from, const mesh::Message& message) {
    scheduler_.receive(from, message, now_, out_);
  }
  // Time passes in ticks; nobody else says anything.
  void advance(Duration d) {
    const TimePoint end = now_ + d;
    while (scheduler_.next_tick() <= end) {
      now_ = std::max(now_, scheduler_.next_tick());
      scheduler_.tick(now_, out_);
      for (const mesh::Outbox::Send& send : out_.sends) {
        if (const auto* beat = std::get_if<mesh::SchedulerBeat>(&send.message)) heard_ = beat->count;
      }
    }
    now_ = end;
  }
  mesh::ExecutorBeat beat(std::vector<mesh::RunningRequest> running = {}) {
    mesh::ExecutorBeat beat;
    beat.state = mesh::ServiceState::ready;
    beat.model = "m";
    beat.numerics_id = "n1";
    beat.slots_total = 4;
    beat.blocks_total = 100;
    beat.steps = ++steps_;
    beat.running = std::move(running);
    beat.heard = heard_;
    return beat;
  }
  void executor_says(const mesh::PeerId& executor, std::vector<mesh::RunningRequest> running) {
    receive(executor, beat(std::move(running)));
  }
  void admission_says(std::vector<mesh::OpenRequest> open) {
    receive(admission_, mesh::AdmissionBeat{mesh::ServiceState::ready, std::move(open), heard_});
  }
  void add_executor(const mesh::PeerId& executor) {
    hello(mesh::ServiceKind::executor, executor);
    executor_says(executor, {});
  }
  void submit(const mesh::OpenRequest& open) { receive(admission_, mesh::Submit{open}); }
  // Request 1 runs on executor-1, and all three agree on it.
  void run_first() {
    add_executor(e1_);
    submit(open_request(1));
    admission_says({open_at(1, e1_)});
    executor_says(e1_, {running(1)});
  }

  // Everything of one type that was sent to that peer since the last call, in order.
  template <class M>
  std::vector<M> taken(const mesh::PeerId& to) {
    std::vector<M> found;
    std::erase_if(out_.sends, [&](const mesh::Outbox::Send& send) {
      const M* message = std::get_if<M>(&send.message);
      if (message == nullptr || send.to != to) return false;
      found.push_back(*message);
      return true;
    });
    return found;
  }
  // Where a request was placed; empty: nothing was said of it.
  std::string placed(std::uint64_t n, std::uint32_t epoch = 1) {
    std::string where;
    for (const mesh::Placed& p : taken<mesh::Placed>(admission_)) {
      if (p.key == key(n, epoch)) where = p.executor.name;
    }
    return where;
  }
  bool balanced() const {
    return scheduler_.audit_json(now_).find("\"balanced\":true") != std::string::npos;
  }

  TimePoint now_{1h};
  mesh::Outbox out_;
  std::uint64_t steps_ = 0;
  std::uint64_t heard_ = 0;  // by everybody: the count of the scheduler's last beat
  mesh::PeerId admission_ = peer("admission");
  mesh::PeerId e1_ = peer("executor-1"), e2_ = peer("executor-2");
  Scheduler scheduler_{mesh::Hello{.kind = mesh::ServiceKind::scheduler, .self = peer("scheduler")},
                       SchedulerOptions{}};
};

}  // namespace aorta::scheduler
