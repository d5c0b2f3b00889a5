#pragma once
// An executor's core under a manual clock with a fake engine that steps when told, and peers that
// say what a test wants them to say.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "actors/executor/executor.hpp"
#include "engine/engine.hpp"

namespace aorta::executor {

using namespace std::chrono_literals;

inline mesh::RequestKey key(std::uint64_t n, std::uint32_t epoch = 1) {
  return {{1, n}, Epoch{epoch}};
}

inline mesh::Start start_of(std::uint64_t n, std::uint32_t epoch = 1,
                            std::vector<TokenId> generated = {}) {
  mesh::Start start;
  start.key = key(n, epoch);
  start.prompt = {1, 2, 3, static_cast<TokenId>(n)};
  start.generated = std::move(generated);
  start.max_tokens = 10;
  start.sampling.seed = n;
  start.lease_ms = 2000;
  return start;
}

class ExecutorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    boot();
    engine_ready();
    out_ = {};
  }

  // Started and known to the scheduler, the monitor and an admission; its engine is not ready.
  void boot() {
    executor_ = std::make_unique<Executor>(hello_, options_);
    executor_->start(now_, out_);
    welcome("scheduler");
    welcome("monitor");
    receive("scheduler", membership({"admission"}));
    welcome("admission");
  }
  void engine_ready() {
    ASSERT_TRUE(executor_->take_load_command());
    stepper_ = engine::make_stepper(engine::make_fake_runner({}), {.slots = 4, .blocks = 100});
    executor_->on_engine_ready(stepper_->info(), stepper_->load(), now_, out_);
  }
  mesh::Membership membership(std::vector<std::string> admissions) {
    mesh::Membership membership;
    for (const std::string& name : admissions) {
      membership.members.push_back({.kind = mesh::ServiceKind::admission,
                                    .self = {name, Incarnation{7}},
                                    .state = mesh::ServiceState::ready,
                                    .address = "ipc://" + name});
    }
    return membership;
  }
  void welcome(const std::string& name, std::uint64_t incarnation = 7) {
    receive(name, mesh::Welcome{.self = {name, Incarnation{incarnation}}});
  }
  void receive(const std::string& from, const mesh::Message& message) {
    executor_->receive({from, {}}, message, now_, out_);
  }
  void start(const mesh::Start& start) { receive("admission", start); }
  void ack(std::uint64_t n, std::uint32_t next, bool complete = false, std::uint32_t epoch = 1) {
    receive("admission", mesh::Ack{{{key(n, epoch), TokenIndex{next}, complete}}});
  }
  void advance(Duration d) {
    const TimePoint end = now_ + d;
    while (executor_->next_tick() <= end) {
      now_ = std::max(now_, executor_->next_tick());
      executor_->tick(now_, out_);
    }
    now_ = end;
  }
  // Carries out the core's commands, and a step.
  void step() {
    for (EngineCommand& command : executor_->take_engine_commands()) {
      if (!command.start) {
        stepper_->stop(command.key);
      } else if (auto result = stepper_->start(std::move(*command.start)); !result) {
        executor_->on_start_refused(command.key, result.error(), now_, out_);
      }
    }
    const engine::StepReport report = stepper_->idle() ? engine::StepReport{} : stepper_->step();
    executor_->on_engine(report, stepper_->load(), ++turns_, 10ms, now_, out_);
  }

  template <class M>
  std::vector<M> taken(const std::string& to) {
    std::vector<M> found;
    std::erase_if(out_.sends, [&](const mesh::Outbox::Send& send) {
      const M* message = std::get_if<M>(&send.message);
      if (message == nullptr || send.to.name != to) return false;
      found.push_back(*message);
      return true;
    });
    return found;
  }
  mesh::ExecutorBeat last_beat() {
    const auto beats = taken<mesh::ExecutorBeat>("scheduler");
    return beats.empty() ? mesh::ExecutorBeat{} : beats.back();
  }
  // All token ids of a request sent to admission since the last call, which must be contiguous.
  std::vector<TokenId> tokens(std::uint64_t n, std::uint32_t epoch = 1) {
    std::vector<TokenId> ids;
    for (const mesh::Tokens& message : taken<mesh::Tokens>("admission")) {
      for (const mesh::TokenRun& run : message.runs) {
        if (run.key != key(n, epoch)) continue;
        first_ = ids.empty() ? run.first : first_;
        EXPECT_EQ(run.first.value, first_.value + ids.size());
        ids.insert(ids.end(), run.ids.begin(), run.ids.end());
        finish_ = run.finish;
      }
    }
    return ids;
  }
  bool balanced() const {
    return executor_->audit_json(now_).find("\"balanced\":true") != std::string::npos;
  }
  bool engine_empty() const {
    return stepper_->load().slots_used == 0 && stepper_->load().blocks_used == 0;
  }

  TimePoint now_{1h};
  mesh::Outbox out_;
  mesh::Hello hello_{.kind = mesh::ServiceKind::executor, .self = {"executor-1", Incarnation{3}}};
  ExecutorOptions options_{.scheduler_address = "ipc://scheduler",
                           .monitor_address = "ipc://monitor"};
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<engine::Stepper> stepper_;
  std::uint64_t turns_ = 0;
  TokenIndex first_;                          // of the last tokens()
  mesh::Finish finish_ = mesh::Finish::none;  // of the last tokens()
};

}  // namespace aorta::executor
