// Loading, heartbeats, membership, drain.
#include "tests/actors/executor/executor_harness.hpp"

namespace aorta::executor {
namespace {

using mesh::LostReason;
using mesh::ServiceState;

TEST_F(ExecutorTest, BeatsEachTenthOfASecondWithAllThatRuns) {
  start(start_of(1));
  step();
  out_ = {};
  advance(1s);
  const auto beats = taken<mesh::ExecutorBeat>("scheduler");
  EXPECT_EQ(beats.size(), 10u);
  const mesh::ExecutorBeat& beat = beats.back();
  EXPECT_EQ(beat.state, ServiceState::ready);
  EXPECT_EQ(beat.model, "fake");
  EXPECT_EQ(beat.slots_total, 4u);
  EXPECT_EQ(beat.blocks_used, 1u);
  EXPECT_EQ(beat.steps, 1u);
  EXPECT_EQ(beat.median_step_us, 10000u);
  ASSERT_EQ(beat.running.size(), 1u);
  EXPECT_EQ(beat.running[0].key, key(1));
  EXPECT_EQ(beat.running[0].admission, "admission");
  EXPECT_EQ(beat.running[0].next, TokenIndex{1});
}

TEST_F(ExecutorTest, ASlotThatComesFreeIsToldAtOnce) {
  start(start_of(1));
  for (int i = 0; i < 9; ++i) step();
  now_ += 20ms;
  out_ = {};
  step();
  const auto beats = taken<mesh::ExecutorBeat>("scheduler");
  ASSERT_EQ(beats.size(), 1u);
  ASSERT_EQ(beats[0].running.size(), 1u);
  EXPECT_TRUE(beats[0].running[0].finished) << "its tail is not acknowledged yet";
}

TEST_F(ExecutorTest, ManyFreeSlotsAreFewBeats) {
  now_ += 20ms;
  for (std::uint64_t n = 1; n <= 4; ++n) start(start_of(n));
  out_ = {};
  for (std::uint64_t n = 1; n <= 4; ++n) receive("admission", mesh::Stop{key(n)});
  EXPECT_EQ(taken<mesh::ExecutorBeat>("scheduler").size(), 1u);
  advance(5ms);
  const auto beats = taken<mesh::ExecutorBeat>("scheduler");
  ASSERT_EQ(beats.size(), 1u);
  EXPECT_TRUE(beats[0].running.empty());
}

TEST_F(ExecutorTest, ARestartedSchedulerLearnsAllAtOnce) {
  start(start_of(1));
  out_ = {};
  welcome("scheduler", 8);
  EXPECT_EQ(last_beat().running.size(), 1u);
}

TEST_F(ExecutorTest, DialsAdmissionsAndHangsUpOnThoseThatLeft) {
  receive("scheduler", membership({"admission", "admission-2"}));
  ASSERT_EQ(out_.dials.size(), 1u);
  EXPECT_EQ(out_.dials[0].address, "ipc://admission-2");
  receive("scheduler", membership({"admission"}));
  advance(4s);
  EXPECT_TRUE(out_.hangups.empty()) << "a young membership may not be whole";
  receive("scheduler", membership({"admission", "admission-2"}));
  advance(4s);
  EXPECT_TRUE(out_.hangups.empty());
  receive("scheduler", membership({"admission"}));
  advance(6s);
  EXPECT_EQ(out_.hangups, std::vector<std::string>{"admission-2"});
}

TEST_F(ExecutorTest, GreetsANewLifeOfAnAdmissionAtTheOldAddress) {
  auto next_life = membership({"admission"});
  next_life.members.front().self.incarnation = Incarnation{9};
  receive("scheduler", next_life);
  advance(300ms);
  EXPECT_FALSE(taken<mesh::Hello>("admission").empty()) << "it would hear of us never";
  welcome("admission", 9);
  out_ = {};
  receive("scheduler", next_life);
  advance(300ms);
  EXPECT_TRUE(taken<mesh::Hello>("admission").empty());
}

TEST_F(ExecutorTest, NeverHangsUpOnARunningRequest) {
  start(start_of(1));
  receive("scheduler", membership({}));
  for (int i = 0; i < 10; ++i) {
    advance(1s);
    ack(1, 0);
  }
  EXPECT_TRUE(out_.hangups.empty());
  receive("admission", mesh::Stop{key(1)});
  advance(200ms);
  EXPECT_EQ(out_.hangups, std::vector<std::string>{"admission"});
}

TEST_F(ExecutorTest, ReportsAndAudits) {
  advance(1s);
  const auto reports = taken<mesh::Report>("monitor");
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_FALSE(reports[0].figures.empty());
  receive("monitor", mesh::AuditRequest{42});
  const auto replies = taken<mesh::AuditReply>("monitor");
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].token, 42u);
  EXPECT_NE(replies[0].json.find("\"blocks_used\":0"), std::string::npos);
}

// ── Drain ────────────────────────────────────────────────────────────────────────────────────

TEST_F(ExecutorTest, AnIdleExecutorLeavesAtOnce) {
  receive("monitor", mesh::Drain{});
  ASSERT_TRUE(out_.leave);
  EXPECT_EQ(out_.leave->exit_code, 0);
  EXPECT_EQ(taken<mesh::Goodbye>("scheduler").size(), 1u);
  EXPECT_EQ(taken<mesh::Goodbye>("admission").size(), 1u);
}

TEST_F(ExecutorTest, DrainingFinishesWhatRunsAndRefusesNew) {
  start(start_of(1));
  step();
  executor_->drain(now_, out_);
  EXPECT_FALSE(out_.leave);
  EXPECT_EQ(last_beat().state, ServiceState::draining);
  start(start_of(2));
  const auto declined = taken<mesh::Declined>("admission");
  ASSERT_EQ(declined.size(), 1u);
  EXPECT_EQ(declined[0].reason, LostReason::draining);
  for (int i = 0; i < 9; ++i) step();
  EXPECT_FALSE(out_.leave) << "its tail is not acknowledged yet";
  ack(1, 10, true);
  ASSERT_TRUE(out_.leave);
  EXPECT_EQ(out_.leave->exit_code, 0);
}

TEST_F(ExecutorTest, WhatIsLeftAfterTheDrainIsHandedOver) {
  mesh::Start endless = start_of(1);
  endless.max_tokens = 1000;
  start(endless);
  step();
  executor_->drain(now_, out_);
  for (int i = 0; i < 29; ++i) {
    advance(1s);
    ack(1, 1);
  }
  EXPECT_FALSE(out_.leave);
  advance(1s);
  const auto declined = taken<mesh::Declined>("admission");
  ASSERT_EQ(declined.size(), 1u);
  EXPECT_EQ(declined[0].reason, LostReason::draining);
  ASSERT_TRUE(out_.leave);
  EXPECT_EQ(out_.leave->exit_code, 0);
}

class HandOverTest : public ExecutorTest {
 protected:
  HandOverTest() { options_.drain_mode = DrainMode::hand_over; }
};

TEST_F(HandOverTest, WhatRunsIsGivenBackAtOnce) {
  start(start_of(1));
  step();
  out_ = {};
  executor_->drain(now_, out_);
  const auto declined = taken<mesh::Declined>("admission");
  ASSERT_EQ(declined.size(), 1u);
  EXPECT_EQ(declined[0].reason, LostReason::draining);
  EXPECT_TRUE(out_.leave);
}

TEST_F(HandOverTest, AFinishedTailIsNotGivenBack) {
  start(start_of(1));
  for (int i = 0; i < 10; ++i) step();
  out_ = {};
  executor_->drain(now_, out_);
  EXPECT_TRUE(taken<mesh::Declined>("admission").empty());
  EXPECT_FALSE(out_.leave);
  ack(1, 10, true);
  EXPECT_TRUE(out_.leave);
}

// ── Before the engine ────────────────────────────────────────────────────────────────────────

class LoadingTest : public ExecutorTest {
 protected:
  void SetUp() override {
    options_.gguf_path = "/models/m.gguf";
    options_.cache_address = "ipc://cache";
    boot();
    welcome("cache");
    out_ = {};
  }
};

TEST_F(LoadingTest, WaitsForTheCachesPack) {
  advance(10ms);
  ASSERT_EQ(taken<mesh::PackRequest>("cache").size(), 1u);
  receive("cache", mesh::PackReply{"/models/m.gguf", false, "", 10, ""});
  EXPECT_FALSE(executor_->take_load_command());
  advance(4s);
  EXPECT_EQ(taken<mesh::PackRequest>("cache").size(), 4u);
  EXPECT_FALSE(executor_->take_load_command());
  receive("cache", mesh::PackReply{"/models/m.gguf", true, "/packs/m.pack", 100, ""});
  const auto load = executor_->take_load_command();
  ASSERT_TRUE(load);
  EXPECT_EQ(load->pack_path, "/packs/m.pack");
  EXPECT_FALSE(executor_->take_load_command()) << "once";
  EXPECT_EQ(executor_->state(), ServiceState::starting);
  EXPECT_EQ(last_beat().state, ServiceState::starting);
}

TEST_F(LoadingTest, ASilentCacheIsNotWaitedFor) {
  advance(900ms);
  EXPECT_FALSE(executor_->take_load_command());
  advance(200ms);
  const auto load = executor_->take_load_command();
  ASSERT_TRUE(load);
  EXPECT_EQ(load->pack_path, "");
}

TEST_F(LoadingTest, ACacheThatDiesWhilePackingIsNotWaitedFor) {
  receive("cache", mesh::PackReply{"/models/m.gguf", false, "", 10, ""});
  advance(6s);
  EXPECT_TRUE(executor_->take_load_command());
}

TEST_F(LoadingTest, ACacheThatCannotPackIsNotTheEnd) {
  receive("cache", mesh::PackReply{"/models/m.gguf", false, "", 0, "disk full"});
  const auto load = executor_->take_load_command();
  ASSERT_TRUE(load);
  EXPECT_EQ(load->pack_path, "");
}

TEST_F(LoadingTest, WhoseEngineIsBeingOpenedAsksTheCacheToKeepThePack) {
  options_.opens_at_once = true;
  boot();
  welcome("cache");
  out_ = {};
  EXPECT_FALSE(executor_->take_load_command());
  stepper_ = engine::make_stepper(engine::make_fake_runner({}), {.slots = 4, .blocks = 100});
  executor_->on_engine_ready(stepper_->info(), stepper_->load(), now_, out_);
  advance(10ms);
  EXPECT_EQ(taken<mesh::PackRequest>("cache").size(), 1u);
  receive("cache", mesh::PackReply{"/models/m.gguf", true, "/packs/m.pack", 100, ""});
  advance(5s);
  EXPECT_TRUE(taken<mesh::PackRequest>("cache").empty()) << "answered";
  EXPECT_FALSE(executor_->take_load_command());
}

TEST_F(LoadingTest, WhoseEngineIsBeingOpenedNeedsNoCache) {
  options_.opens_at_once = true;
  boot();
  advance(5s);
  EXPECT_FALSE(executor_->take_load_command());
}

TEST_F(LoadingTest, TakesNoRequestBeforeItIsReady) {
  start(start_of(1));
  const auto declined = taken<mesh::Declined>("admission");
  ASSERT_EQ(declined.size(), 1u);
  EXPECT_EQ(declined[0].reason, LostReason::refused);
}

TEST_F(LoadingTest, ABrokenModelIsNotTriedAgain) {
  executor_->on_engine_failed({ErrorCode::corrupt, "the file ends early"}, now_, out_);
  ASSERT_TRUE(out_.leave);
  EXPECT_EQ(out_.leave->exit_code, 78);
  EXPECT_NE(out_.leave->reason.find("the file ends early"), std::string::npos);
}

TEST_F(LoadingTest, AFullDiskIsTriedAgain) {
  executor_->on_engine_failed({ErrorCode::resource_exhausted, "disk full"}, now_, out_);
  ASSERT_TRUE(out_.leave);
  EXPECT_EQ(out_.leave->exit_code, 75);
}

TEST_F(LoadingTest, CanBeDrainedBeforeItIsReady) {
  executor_->drain(now_, out_);
  EXPECT_TRUE(out_.leave);
}

}  // namespace
}  // namespace aorta::executor
