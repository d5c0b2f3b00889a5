// Our own restart: what runs is adopted, what waits is placed, and nothing is charged twice.
#include "tests/actors/scheduler/scheduler_harness.hpp"

namespace aorta::scheduler {
namespace {

using mesh::LostReason;
using mesh::ServiceKind;

class RestartTest : public SchedulerTest {
 protected:
  void SetUp() override {
    scheduler_.start(now_, out_);
    out_ = {};
  }
};

TEST_F(RestartTest, WhatRunsIsAdoptedWhoeverSpeaksFirst) {
  add_executor(e1_);
  for (int i = 0; i < 2; ++i) executor_says(e1_, {running(1), running(2)});
  hello(ServiceKind::admission, admission_);
  admission_says({open_at(1, e1_), open_at(2, e1_), open_request(3)});
  for (int i = 0; i < 10; ++i) {
    advance(100ms);
    executor_says(e1_, {running(1), running(2)});
    admission_says({open_at(1, e1_), open_at(2, e1_), open_request(3)});
  }
  EXPECT_TRUE(taken<mesh::Stop>(e1_).empty());
  EXPECT_TRUE(taken<mesh::Lost>(admission_).empty());
  const auto told = taken<mesh::Placed>(admission_);
  ASSERT_FALSE(told.empty());
  for (const mesh::Placed& p : told) EXPECT_EQ(p.key, key(3)) << "only what was queued";
  EXPECT_TRUE(balanced());
}

TEST_F(RestartTest, NothingIsPlacedBeforeItHasSettled) {
  hello(ServiceKind::admission, admission_);
  add_executor(e1_);
  admission_says({open_request(1)});
  advance(200ms);
  EXPECT_EQ(placed(1), "");
  advance(200ms);
  EXPECT_EQ(placed(1), "executor-1");
}

TEST_F(RestartTest, ASlowAdmissionsRequestsAreNotStopped) {
  add_executor(e1_);
  for (int i = 0; i < 15; ++i) {
    advance(100ms);
    executor_says(e1_, {running(1)});
  }
  EXPECT_TRUE(taken<mesh::Stop>(e1_).empty());
  hello(ServiceKind::admission, admission_);
  executor_says(e1_, {running(1)});
  admission_says({open_at(1, e1_)});
  advance(100ms);
  executor_says(e1_, {running(1)});
  EXPECT_TRUE(taken<mesh::Stop>(e1_).empty());
}

// On a starved host what executors sent while they had not read the Start is read long afterwards.
TEST_F(RestartTest, BeatsFromBeforeTheStartDoNotCountHoweverLateTheyAreRead) {
  hello(ServiceKind::admission, admission_);
  hello(ServiceKind::executor, e1_);
  const mesh::ExecutorBeat first = beat(), second = beat();
  admission_says({open_at(1, e1_)});
  advance(500ms);
  receive(e1_, first);
  receive(e1_, second);
  EXPECT_TRUE(taken<mesh::Lost>(admission_).empty());
  for (int i = 0; i < 5; ++i) {
    executor_says(e1_, {running(1)});
    admission_says({open_at(1, e1_)});
    advance(100ms);
  }
  EXPECT_TRUE(taken<mesh::Lost>(admission_).empty());
  EXPECT_TRUE(taken<mesh::Stop>(e1_).empty());
}

// Nor does an admission's that did not know yet where the request was: it runs on.
TEST_F(RestartTest, WhatAnAdmissionSaidBeforeItKnewStopsNothing) {
  hello(ServiceKind::admission, admission_);
  hello(ServiceKind::executor, e1_);
  const mesh::AdmissionBeat before{mesh::ServiceState::ready, {open_request(1)}, heard_};
  receive(admission_, before);
  executor_says(e1_, {running(1)});  // our earlier life had placed it
  advance(200ms);
  receive(admission_, before);
  executor_says(e1_, {running(1)});
  EXPECT_TRUE(taken<mesh::Stop>(e1_).empty());
  for (int i = 0; i < 3; ++i) {
    admission_says({open_at(1, e1_)});
    executor_says(e1_, {running(1)});
    advance(100ms);
  }
  EXPECT_TRUE(taken<mesh::Stop>(e1_).empty());
  EXPECT_TRUE(balanced());
}

// Their Submits waited for us together, so they seem to have come at once, and after one that came
// when we were there: what the admission says next puts all where they belong.
TEST_F(RestartTest, WhatWaitedLongerThanItSaidTakesItsPlaceWithTheNextBeat) {
  hello(ServiceKind::admission, admission_);
  std::vector<mesh::OpenRequest> open;
  for (const std::uint64_t n : {9, 8, 7}) {  // the ids are no help
    open.push_back(open_request(n));
    open.back().remaining_ms = 600'000;
    submit(open.back());
  }
  advance(100ms);
  for (std::size_t i = 0; i < open.size(); ++i) {
    open[i].waited_us = 2'000'000 - i;
    open[i].waited_ms = static_cast<std::uint32_t>(open[i].waited_us / 1000);
    open[i].remaining_ms = 598'000;
  }
  mesh::OpenRequest other = open_request(1);  // of another admission: it has waited for one second
  other.waited_ms = 1'000;
  other.remaining_ms = 599'000;
  hello(ServiceKind::admission, peer("admission-2"));
  receive(peer("admission-2"), mesh::Submit{other});
  admission_says(open);
  advance(300ms);
  hello(ServiceKind::executor, e1_);
  mesh::ExecutorBeat one_slot = beat();
  one_slot.slots_total = 1;
  for (const std::uint64_t n : {9, 8, 7}) {
    receive(e1_, one_slot);
    EXPECT_EQ(placed(n), "executor-1") << n;
    receive(admission_, mesh::Closed{key(n).request, 0});
    one_slot.steps = ++steps_;
  }
}

TEST_F(RestartTest, WhatWasOnBoardOfTwoCrashesIsStillRunAlone) {
  hello(ServiceKind::admission, admission_);
  add_executor(e1_);
  mesh::OpenRequest feared = open_request(1);
  feared.crashes = 2;
  feared.waited_us = 1'000'000;
  feared.waited_ms = 1'000;
  admission_says({feared, open_request(2)});
  advance(300ms);
  const auto told = taken<mesh::Placed>(admission_);
  ASSERT_EQ(told.size(), 1u) << "nobody joins the suspect";
  EXPECT_EQ(told[0].key, key(1));
}

TEST_F(RestartTest, AnExecutorThatDiedMeanwhileIsNoticed) {
  hello(ServiceKind::admission, admission_);
  for (int i = 0; i < 25; ++i) {
    admission_says({open_at(1, e1_)});
    advance(100ms);
  }
  const auto told = taken<mesh::Lost>(admission_);
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told[0].reason, LostReason::dead);
}

TEST_F(RestartTest, AnExecutorThatRestartedMeanwhileIsNoticedAtOnce) {
  hello(ServiceKind::admission, admission_);
  admission_says({open_at(1, e1_)});
  add_executor(peer("executor-1", 2));
  advance(100ms);
  const auto told = taken<mesh::Lost>(admission_);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].reason, LostReason::superseded);
}

// What a tenant has paid is not asked for again: among equals the first by name is next.
TEST_F(RestartTest, WhatRanBeforeIsNotCharged) {
  hello(ServiceKind::admission, admission_);
  mesh::OpenRequest adopted = open_at(1, e1_), first = open_request(2), second = open_request(3);
  adopted.tenant = first.tenant = "a";
  second.tenant = "b";
  adopted.generated_tokens = 500;
  admission_says({second, adopted, first});
  advance(300ms);
  hello(ServiceKind::executor, e1_);
  mesh::ExecutorBeat two_slots = beat({running(1)});
  two_slots.slots_total = 2;
  receive(e1_, two_slots);
  EXPECT_EQ(placed(2), "executor-1");
}

TEST_F(SchedulerTest, APromptIsChargedOnce) {
  mesh::OpenRequest a = open_request(1), b = open_request(2);
  a.tenant = "a";
  b.tenant = "b";
  add_executor(e1_);
  submit(a);
  submit(b);
  executor_says(e1_, {running(1), running(2)});
  a.key.epoch = Epoch{2};  // handed over
  submit(a);
  executor_says(e1_, {running(1, 2), running(2)});
  mesh::OpenRequest more_a = open_request(3), more_b = open_request(4);
  more_a.tenant = "a";
  more_b.tenant = "b";
  mesh::ExecutorBeat full = beat({running(1, 2), running(2)});
  full.slots_total = 2;
  receive(e1_, full);
  submit(more_b);
  submit(more_a);
  out_ = {};
  full.slots_total = 3;
  receive(e1_, full);
  EXPECT_EQ(placed(3), "executor-1");
}

// The network kept an admission away for longer than the silence that is death.
class ReturnTest : public SchedulerTest {
 protected:
  void SetUp() override {
    SchedulerTest::SetUp();
    add_executor(e1_);
    submit(open_request(1));
  }
  void silence() {
    for (int i = 0; i < 21; ++i) {
      advance(100ms);
      executor_says(e1_, runs_);
    }
    ASSERT_NE(scheduler_.audit_json(now_).find("\"requests\":0"), std::string::npos);
    hello(mesh::ServiceKind::admission, admission_);
    out_ = {};
  }
  std::vector<mesh::RunningRequest> runs_;
  static constexpr double prompt_cost = 32 * 0.25;
};

TEST_F(ReturnTest, APromptThatNobodyComputedIsPaidWhenSomebodyDoes) {
  silence();  // its Placed was lost
  admission_says({open_request(1)});
  EXPECT_EQ(placed(1), "executor-1");
  EXPECT_EQ(scheduler_.charged(), prompt_cost);
}

TEST_F(ReturnTest, APromptThatWasComputedStaysPaid) {
  runs_ = {running(1)};
  admission_says({open_at(1, e1_)});
  silence();
  EXPECT_EQ(scheduler_.charged(), prompt_cost);
  admission_says({open_at(1, e1_)});
  EXPECT_EQ(scheduler_.charged(), prompt_cost);
}

}  // namespace
}  // namespace aorta::scheduler
