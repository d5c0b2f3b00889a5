#include "actors/scheduler/executors.hpp"

#include <gtest/gtest.h>

namespace aorta::scheduler {
namespace {

using mesh::ServiceState;
using namespace std::chrono_literals;

mesh::PeerId peer(const std::string& name, std::uint64_t incarnation = 1) {
  return {name, Incarnation{incarnation}};
}

mesh::RequestKey key(std::uint64_t n) { return {{1, n}, Epoch{1}}; }

mesh::ExecutorBeat ready_beat(std::vector<mesh::RequestKey> running = {}) {
  mesh::ExecutorBeat beat;
  beat.state = ServiceState::ready;
  beat.model = "m";
  beat.numerics_id = "n1";
  beat.slots_total = 4;
  beat.blocks_total = 100;
  beat.prefill_per_second = 1000;
  beat.median_step_us = 10000;
  for (const auto& k : running) beat.running.push_back({k, "admission", TokenIndex{0}, false});
  return beat;
}

class ExecutorsTest : public ::testing::Test {
 protected:
  Executor& add(const std::string& name, mesh::ExecutorBeat beat = ready_beat()) {
    executors_.joined(peer(name), now_);
    executors_.beat(*executors_.find(name), beat, now_);
    return *executors_.find(name);
  }
  std::string best(const Need& need) {
    Executor* found = executors_.best(need, now_, fit_);
    return found == nullptr ? "" : found->self.name;
  }

  TimePoint now_{1h};
  Fit fit_{};
  Executors executors_{ExecutorOptions{}};
  Need need_{.model = "m", .tokens = 32};
};

TEST_F(ExecutorsTest, SlotsAreCountedByIdentity) {
  Executor& e = add("e");
  executors_.place(e, key(1), need_, TokenIndex{0});
  EXPECT_EQ(e.free(now_), 3u) << "placed counts before it is seen";
  executors_.beat(e, ready_beat({key(1)}), now_);
  EXPECT_EQ(e.free(now_), 3u) << "seen counts once";
  executors_.release(peer("e"), key(1));
  EXPECT_EQ(e.free(now_), 3u) << "closed, but it still runs there";
  executors_.beat(e, ready_beat(), now_);
  EXPECT_EQ(e.free(now_), 4u);
}

TEST_F(ExecutorsTest, ClosedBeforeItWasSeenFreesItsSlot) {
  Executor& e = add("e");
  executors_.place(e, key(1), need_, TokenIndex{0});
  executors_.release(peer("e"), key(1));
  EXPECT_EQ(e.free(now_), 4u);
}

TEST_F(ExecutorsTest, FinishedHoldsNoSlot) {
  Executor& e = add("e");
  auto beat = ready_beat({key(1)});
  beat.running[0].finished = true;
  executors_.beat(e, beat, now_);
  EXPECT_EQ(e.free(now_), 4u);
}

TEST_F(ExecutorsTest, OnlyThoseThatServe) {
  auto draining = ready_beat();
  draining.state = ServiceState::draining;
  add("draining", draining);
  auto other = ready_beat();
  other.model = "other";
  add("other", other);
  EXPECT_EQ(best(need_), "");
  EXPECT_EQ(fit_, Fit::nowhere);
  Executor& e = add("e");
  EXPECT_EQ(best(need_), "e");
  executors_.want_drained({"e"});
  EXPECT_EQ(best(need_), "");
  executors_.want_drained({});
  executors_.beat(e, ready_beat({key(1), key(2), key(3), key(4)}), now_);
  EXPECT_EQ(best(need_), "");
  EXPECT_EQ(fit_, Fit::later);
}

TEST_F(ExecutorsTest, TheLeastLoadedBeginsSoonest) {
  Executor& a = add("a");
  add("b");
  executors_.place(a, key(1), need_, TokenIndex{0});
  EXPECT_EQ(best(need_), "b");
}

TEST_F(ExecutorsTest, BlocksAreRoomToo) {
  auto beat = ready_beat();
  beat.blocks_used = 97;
  Executor& e = add("e", beat);
  EXPECT_EQ(best({.model = "m", .tokens = 48}), "e");
  EXPECT_EQ(best({.model = "m", .tokens = 49}), "");
  EXPECT_EQ(fit_, Fit::later);
  executors_.beat(e, ready_beat(), now_);
  EXPECT_EQ(best({.model = "m", .tokens = 1u << 20}), "e") << "the engine says that it is too long";
}

TEST_F(ExecutorsTest, AResumeStaysWithItsNumerics) {
  auto other = ready_beat();
  other.numerics_id = "n2";
  add("other", other);
  Need resume{.model = "m", .tokens = 32, .numerics_id = "n1", .strict = true};
  EXPECT_EQ(best(resume), "");
  EXPECT_EQ(fit_, Fit::nowhere);
  resume.strict = false;
  EXPECT_EQ(best(resume), "other") << "no like executor is left";
  add("like", ready_beat({key(1), key(2), key(3), key(4)}));
  EXPECT_EQ(best(resume), "") << "the like one is busy, not gone";
  EXPECT_EQ(fit_, Fit::later);
}

TEST_F(ExecutorsTest, ANewExecutorFillsSlowlyWhileOthersHaveRoom) {
  add("a", ready_beat({key(1), key(2)}));
  now_ += 10s;
  Executor& b = add("b");
  executors_.place(b, key(3), need_, TokenIndex{0});
  EXPECT_EQ(best(need_), "a");
  executors_.beat(*executors_.find("a"), ready_beat({key(1), key(2), key(5), key(6)}), now_);
  EXPECT_EQ(best(need_), "b") << "but waiting would be worse";
}

TEST_F(ExecutorsTest, AStalledExecutorIsTakenOutUntilItProgresses) {
  Executor& e = add("e", ready_beat({key(1)}));
  now_ += 2s;
  EXPECT_TRUE(executors_.find_stalled(now_).empty());
  now_ += 1ms;
  EXPECT_EQ(executors_.find_stalled(now_), std::vector<std::string>{"e"});
  EXPECT_TRUE(executors_.find_stalled(now_).empty()) << "told once";
  EXPECT_EQ(best(need_), "");
  executors_.beat(e, ready_beat(), now_);
  EXPECT_EQ(best(need_), "") << "emptied, but nobody saw it move";
  auto moved = ready_beat();
  moved.steps = 1;
  executors_.beat(e, moved, now_);
  EXPECT_EQ(best(need_), "e");
  EXPECT_EQ(e.free(now_), 1u) << "on probation";
  now_ += 11s;
  EXPECT_EQ(e.free(now_), 4u);
}

// Stuck for so long, then found to have stepped; with a request on board both times.
class SlowExecutorTest : public ExecutorsTest {
 protected:
  void SetUp() override { add("e", at_step(1)); }
  mesh::ExecutorBeat at_step(std::uint64_t steps) {
    auto beat = ready_beat({key(1)});
    beat.steps = steps;
    return beat;
  }
  bool stalls_within(Duration gap) {
    now_ += gap;
    const bool stalled = !executors_.find_stalled(now_).empty();
    executors_.beat(*executors_.find("e"), at_step(++steps_), now_);
    return stalled;
  }
  std::uint64_t steps_ = 1;
};

TEST_F(SlowExecutorTest, EachStallItWakesFromDoublesItsLimit) {
  EXPECT_TRUE(stalls_within(2100ms));
  EXPECT_FALSE(stalls_within(3900ms));
  EXPECT_TRUE(stalls_within(4100ms));
  EXPECT_FALSE(stalls_within(7900ms));
  EXPECT_TRUE(stalls_within(8100ms));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(stalls_within(16100ms)) << "and no further";
}

TEST_F(SlowExecutorTest, ItsLimitFallsBackWhenItHasBeenQuick) {
  EXPECT_TRUE(stalls_within(2100ms));
  EXPECT_TRUE(stalls_within(4100ms));
  for (int i = 0; i < 61; ++i) EXPECT_FALSE(stalls_within(1s));
  EXPECT_FALSE(stalls_within(3900ms)) << "one step back";
  for (int i = 0; i < 60; ++i) EXPECT_FALSE(stalls_within(1s));
  EXPECT_TRUE(stalls_within(2100ms));
}

TEST_F(SlowExecutorTest, OneThatNeverWakesIsGivenNoMoreTime) {
  now_ += 2100ms;
  EXPECT_FALSE(executors_.find_stalled(now_).empty());
  now_ += 11s;
  auto emptied = at_step(1);
  emptied.running.clear();
  executors_.beat(*executors_.find("e"), emptied, now_);  // it is tried again
  executors_.beat(*executors_.find("e"), at_step(1), now_);
  now_ += 2100ms;
  EXPECT_FALSE(executors_.find_stalled(now_).empty());
}

TEST_F(ExecutorsTest, WhatIsFoundOnAStalledExecutorLaterIsToldToo) {
  Executor& e = add("e", ready_beat({key(1)}));
  now_ += 3s;
  EXPECT_FALSE(executors_.find_stalled(now_).empty());
  executors_.place(e, key(1), need_, TokenIndex{5});  // its admission had been silent until now
  EXPECT_EQ(executors_.find_stalled(now_), std::vector<std::string>{"e"});
}

TEST_F(ExecutorsTest, AnEmptyStalledExecutorIsTriedAgainLater) {
  Executor& e = add("e", ready_beat({key(1)}));
  now_ += 3s;
  executors_.find_stalled(now_);
  now_ += 10s;
  executors_.beat(e, ready_beat(), now_);
  EXPECT_EQ(e.free(now_), 1u);
}

TEST_F(ExecutorsTest, LongStepsAreNoStall) {
  auto slow = ready_beat({key(1)});
  slow.median_step_us = 1'000'000;
  add("e", slow);
  now_ += 9s;
  EXPECT_TRUE(executors_.find_stalled(now_).empty());
  now_ += 2s;
  EXPECT_FALSE(executors_.find_stalled(now_).empty());
}

TEST_F(ExecutorsTest, AnExecutorThatPrefillsMayTakeItsMeasuredTime) {
  auto slow = ready_beat();
  slow.prefill_per_second = 256;  // a full step takes a second
  Executor& e = add("e", slow);
  need_.tokens = 4000;
  executors_.place(e, key(1), need_, TokenIndex{0});
  slow.running = ready_beat({key(1)}).running;
  executors_.beat(e, slow, now_);
  now_ += 10s;
  EXPECT_TRUE(executors_.find_stalled(now_).empty());
  slow.running[0].next = TokenIndex{1};  // it decodes now
  executors_.beat(e, slow, now_);
  EXPECT_FALSE(executors_.find_stalled(now_).empty());
}

TEST_F(ExecutorsTest, IdleIsNoStall) {
  Executor& e = add("e");
  now_ += 1h;
  executors_.beat(e, ready_beat(), now_);
  executors_.beat(e, ready_beat({key(1)}), now_);
  EXPECT_TRUE(executors_.find_stalled(now_).empty());
}

TEST_F(ExecutorsTest, ACrashedOneStartsItsNextLifeOnProbation) {
  add("e");
  executors_.suspect("e", now_);
  executors_.left("e");
  now_ += 1s;
  EXPECT_EQ(add("e").free(now_), 1u);
  now_ += 10s;
  EXPECT_EQ(executors_.find("e")->free(now_), 4u);
}

TEST_F(ExecutorsTest, ASuspectRunsAlone) {
  Executor& e = add("e", ready_beat({key(1)}));
  Need suspect = need_;
  suspect.alone = true;
  EXPECT_EQ(best(suspect), "");
  executors_.beat(e, ready_beat(), now_);
  EXPECT_EQ(best(suspect), "e");
  executors_.place(e, key(2), suspect, TokenIndex{0});
  EXPECT_EQ(best(need_), "") << "nobody joins it";
  executors_.beat(e, ready_beat({key(2)}), now_);
  executors_.release(peer("e"), key(2));
  EXPECT_EQ(e.free(now_), 0u);
  executors_.beat(e, ready_beat(), now_);
  EXPECT_EQ(e.free(now_), 4u);
}

TEST_F(ExecutorsTest, ADeclinedPlacementWaitsForABeat) {
  Executor& e = add("e");
  executors_.place(e, key(1), need_, TokenIndex{0});
  executors_.declined(peer("e"), key(1));
  EXPECT_EQ(e.free(now_), 0u);
  executors_.beat(e, ready_beat(), now_);
  EXPECT_EQ(e.free(now_), 4u);
}

}  // namespace
}  // namespace aorta::scheduler
