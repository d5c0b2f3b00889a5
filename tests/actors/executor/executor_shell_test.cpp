// The executor on real sockets and with its engine's own thread, against a scripted scheduler and
// admission on the same loop.
#include "actors/executor/executor_shell.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>

#include "actors/executor/executor.hpp"
#include "mesh/peering.hpp"
#include "tests/mesh/temp_dir.hpp"

namespace aorta::executor {
namespace {

constexpr std::uint32_t answer_tokens = 50;
constexpr std::uint64_t requests = 20;  // more than slots: some are declined first

mesh::Hello hello(mesh::ServiceKind kind, const std::string& name) {
  return {.kind = kind, .self = {name, Incarnation{1}}};
}

// Says who the admission is; leaves when the executor does.
class ScriptedScheduler : public mesh::Service {
 public:
  explicit ScriptedScheduler(const std::string& admission_address)
      : peering_(hello(mesh::ServiceKind::scheduler, "scheduler")) {
    membership_.members.push_back({.kind = mesh::ServiceKind::admission,
                                   .self = {"admission", Incarnation{1}},
                                   .state = mesh::ServiceState::ready,
                                   .address = admission_address});
  }
  const mesh::Hello& self() const override { return peering_.self(); }
  void start(TimePoint, mesh::Outbox&) override {}
  void receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
               mesh::Outbox& out) override {
    peering_.handle(from, message, now, out);
    if (auto* beat = std::get_if<mesh::ExecutorBeat>(&message)) {
      if (beat->state == mesh::ServiceState::ready) out.send(from, membership_);
      last_beat = *beat;
    }
    if (std::holds_alternative<mesh::Goodbye>(message)) {
      out.leave = mesh::Outbox::Leave{0, "the executor has left"};
    }
  }
  void unreachable(const mesh::PeerId&, TimePoint, mesh::Outbox&) override {}
  void drain(TimePoint, mesh::Outbox& out) override { out.leave = mesh::Outbox::Leave{0, ""}; }
  void tick(TimePoint now, mesh::Outbox& out) override { peering_.tick(now, out); }
  TimePoint next_tick() const override { return peering_.next_tick(); }

  mesh::ExecutorBeat last_beat;

 private:
  mesh::Peering peering_;
  mesh::Membership membership_;
};

// Starts all requests at once, those that are declined again and again; when all are answered it
// drains the executor.
class ScriptedAdmission : public mesh::Service {
 public:
  ScriptedAdmission() : peering_(hello(mesh::ServiceKind::admission, "admission")) {}
  const mesh::Hello& self() const override { return peering_.self(); }
  void start(TimePoint, mesh::Outbox&) override {}
  void receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
               mesh::Outbox& out) override {
    const auto outcome = peering_.handle(from, message, now, out);
    if (outcome == mesh::Peering::Outcome::joined) {
      for (std::uint64_t n = 1; n <= requests; ++n) begin({{1, n}, Epoch{1}}, from, out);
    }
    if (auto* declined = std::get_if<mesh::Declined>(&message)) {
      waiting_.push_back({declined->key.request, declined->key.epoch.next()});
      ++declines;
    }
    if (auto* tokens = std::get_if<mesh::Tokens>(&message)) {
      for (const mesh::TokenRun& run : tokens->runs) take(run, from, out);
    }
    if (std::holds_alternative<mesh::Goodbye>(message)) {
      out.leave = mesh::Outbox::Leave{0, "the executor has left"};
    }
  }
  void unreachable(const mesh::PeerId&, TimePoint, mesh::Outbox&) override {}
  void drain(TimePoint, mesh::Outbox& out) override { out.leave = mesh::Outbox::Leave{0, ""}; }
  void tick(TimePoint now, mesh::Outbox& out) override { peering_.tick(now, out); }
  TimePoint next_tick() const override { return peering_.next_tick(); }

  static mesh::Start start_of(const mesh::RequestKey& key) {
    mesh::Start start;
    start.key = key;
    start.prompt = {1, 2, static_cast<TokenId>(key.request.low)};
    start.max_tokens = answer_tokens;
    start.sampling.seed = key.request.low;
    start.lease_ms = 60000;
    return start;
  }

  std::map<std::uint64_t, std::vector<TokenId>> answers;
  std::uint64_t finished = 0, declines = 0;

 private:
  void begin(const mesh::RequestKey& key, const mesh::PeerId& executor, mesh::Outbox& out) {
    receivers_.insert_or_assign(key.request.low, mesh::TokenReceiver(key, TokenIndex{0}));
    out.send(executor, start_of(key));
  }
  void take(const mesh::TokenRun& run, const mesh::PeerId& executor, mesh::Outbox& out) {
    mesh::TokenReceiver& receiver = receivers_.at(run.key.request.low);
    const auto accepted = receiver.accept(run);
    EXPECT_FALSE(accepted.gap);
    auto& answer = answers[run.key.request.low];
    answer.insert(answer.end(), accepted.ids.begin(), accepted.ids.end());
    out.send(executor, mesh::Ack{{receiver.ack()}});
    if (accepted.finish == mesh::Finish::none) return;
    if (!waiting_.empty()) {
      begin(waiting_.back(), executor, out);
      waiting_.pop_back();
    }
    if (++finished == requests) out.send(executor, mesh::Drain{});
  }
  mesh::Peering peering_;
  std::map<std::uint64_t, mesh::TokenReceiver> receivers_;
  std::vector<mesh::RequestKey> waiting_;
};

std::vector<TokenId> undisturbed(std::uint64_t n) {
  auto stepper = engine::make_stepper(engine::make_fake_runner({}), {});
  const mesh::Start start = ScriptedAdmission::start_of({{1, n}, Epoch{1}});
  engine::Sequence sequence;
  sequence.ids = start.prompt;
  sequence.prompt_tokens = static_cast<std::uint32_t>(start.prompt.size());
  sequence.max_tokens = answer_tokens;
  sequence.sampling.seed = n;
  EXPECT_TRUE(stepper->start(sequence).ok());
  std::vector<TokenId> ids;
  while (!stepper->idle()) {
    for (const auto& token : stepper->step().tokens) ids.push_back(token.id);
  }
  return ids;
}

TEST(ExecutorShellTest, AnswersOverSocketsAndLeavesWithNothing) {
  const TempDir folder;
  const std::string scheduler_address = folder.ipc("scheduler");
  const std::string admission_address = folder.ipc("admission");
  actors::Host host({});
  auto scheduler_core = std::make_unique<ScriptedScheduler>(admission_address);
  auto admission_core = std::make_unique<ScriptedAdmission>();
  const ScriptedScheduler& scheduler = *scheduler_core;
  const ScriptedAdmission& admission = *admission_core;
  actors::Shell scheduler_shell(host, std::move(scheduler_core), {scheduler_address});
  actors::Shell admission_shell(host, std::move(admission_core), {admission_address});
  EngineOptions engine;
  engine.fake = true;
  engine.limits.slots = 8;
  ExecutorOptions options;
  options.scheduler_address = scheduler_address;
  ExecutorShell executor(
      host, std::make_unique<Executor>(hello(mesh::ServiceKind::executor, "executor-1"), options),
      engine);
  scheduler_shell.begin();
  admission_shell.begin();
  executor.begin();
  EXPECT_EQ(host.run(), 0);

  EXPECT_EQ(admission.finished, requests);
  EXPECT_EQ(admission.declines, requests - 8);
  for (std::uint64_t n = 1; n <= requests; ++n) {
    EXPECT_EQ(admission.answers.at(n), undisturbed(n)) << n;
  }
  EXPECT_EQ(scheduler.last_beat.state, mesh::ServiceState::draining);
}

TEST(ExecutorShellTest, AMissingModelIsBadConfiguration) {
  const TempDir folder;
  actors::Host host({});
  EngineOptions engine;
  engine.model.gguf_path = "/nowhere/model.gguf";
  engine.pack_folder = "/nowhere";
  ExecutorOptions options;
  options.scheduler_address = folder.ipc("scheduler");
  options.gguf_path = engine.model.gguf_path;
  ExecutorShell executor(
      host, std::make_unique<Executor>(hello(mesh::ServiceKind::executor, "executor-1"), options),
      engine);
  executor.begin();
  EXPECT_EQ(host.run(), 78);
}

}  // namespace
}  // namespace aorta::executor
