// Membership, dead and stalled executors, and both sides' claims compared.
#include <map>
#include <set>

#include "tests/actors/scheduler/scheduler_harness.hpp"

namespace aorta::scheduler {
namespace {

using mesh::LostReason;
using mesh::ServiceKind;
using mesh::ServiceState;

const mesh::Member* member(const mesh::Membership& membership, const std::string& name) {
  for (const mesh::Member& m : membership.members) {
    if (m.self.name == name) return &m;
  }
  return nullptr;
}

class FailureTest : public SchedulerTest {
 protected:
  void SetUp() override {
    SchedulerTest::SetUp();
    run_first();
    hello(ServiceKind::node, peer("node"));
    out_ = {};
  }
  std::vector<mesh::Lost> lost() { return taken<mesh::Lost>(admission_); }
  // 100 ms in which everybody says this.
  void beats(std::vector<mesh::OpenRequest> open, std::vector<mesh::RunningRequest> runs) {
    advance(100ms);
    admission_says(std::move(open));
    executor_says(e1_, std::move(runs));
  }
};

TEST_F(FailureTest, EverybodyHearsOfAChange) {
  add_executor(e2_);
  for (const mesh::PeerId& to : {admission_, e1_, e2_, peer("node")}) {
    const auto told = taken<mesh::Membership>(to);
    ASSERT_FALSE(told.empty()) << to.name;
    const mesh::Member* m = member(told.back(), "executor-2");
    ASSERT_NE(m, nullptr);
    EXPECT_EQ(m->state, ServiceState::ready);
    EXPECT_EQ(m->model, "m");
    EXPECT_EQ(m->address, "ipc://executor-2");
    EXPECT_NE(member(told.back(), "scheduler"), nullptr);
  }
}

TEST_F(FailureTest, MembershipIsRepeatedEachSecondAndVersionsGrow) {
  for (int i = 0; i < 12; ++i) {
    advance(100ms);
    for (const auto& p : {admission_, peer("node")}) {
      receive(p, mesh::ServiceBeat{ServiceState::ready});
    }
    executor_says(e1_, {running(1)});
  }
  const auto told = taken<mesh::Membership>(peer("node"));
  ASSERT_GE(told.size(), 1u);
  ASSERT_LE(told.size(), 4u);
  for (std::size_t i = 1; i < told.size(); ++i) EXPECT_GE(told[i].version, told[i - 1].version);
}

TEST_F(FailureTest, TheNodeAgentsWordIsTakenAtOnce) {
  receive(peer("node"), mesh::ChildDied{e1_, -11, "SIGSEGV", true, true});
  const auto told = lost();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].key, key(1));
  EXPECT_EQ(told[0].reason, LostReason::dead);
  EXPECT_TRUE(told[0].counted_crash);
  const auto membership = taken<mesh::Membership>(admission_);
  ASSERT_FALSE(membership.empty());
  EXPECT_EQ(member(membership.back(), "executor-1")->state, ServiceState::dead);
  EXPECT_TRUE(balanced());
}

TEST_F(FailureTest, WordOfAnEarlierLifeIsNoWordOfThisOne) {
  receive(peer("node"), mesh::ChildDied{peer("executor-1", 0), -9, "SIGKILL"});
  EXPECT_TRUE(lost().empty());
}

TEST_F(FailureTest, ANewerLifeEndsTheOldOne) {
  hello(ServiceKind::executor, peer("executor-1", 2));
  const auto told = lost();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].reason, LostReason::superseded);
  executor_says(e1_, {running(1)});
  EXPECT_EQ(taken<mesh::Superseded>(e1_).size(), 2u) << "once for the hello, once for its beat";
}

TEST_F(FailureTest, GoodbyeIsNoCrash) {
  receive(e1_, mesh::Goodbye{});
  const auto told = lost();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].reason, LostReason::draining);
  EXPECT_FALSE(told[0].counted_crash);
  const auto membership = taken<mesh::Membership>(admission_);
  ASSERT_FALSE(membership.empty());
  EXPECT_EQ(member(membership.back(), "executor-1"), nullptr);
}

TEST_F(FailureTest, TwentyMissedBeatsAreDeath) {
  for (int i = 0; i < 19; ++i) {
    advance(100ms);
    admission_says({open_at(1, e1_)});
    ASSERT_TRUE(lost().empty()) << i;
  }
  advance(100ms);
  const auto told = lost();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].reason, LostReason::dead);
}

TEST_F(FailureTest, FiveBeatsWithoutAConnectionAreDeathToo) {
  advance(300ms);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(lost().empty()) << i;
    scheduler_.unreachable(e1_, now_, out_);
    advance(100ms);
    admission_says({open_at(1, e1_)});
  }
  const auto told = lost();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].reason, LostReason::dead);
  EXPECT_FALSE(told[0].counted_crash);
}

TEST_F(FailureTest, WhoeverConnectsAgainHasOnlyLostItsConnection) {
  for (int i = 0; i < 30; ++i) {
    if (i % 4 != 3) scheduler_.unreachable(e1_, now_, out_);
    scheduler_.unreachable(peer("executor-1", 0), now_, out_);  // another life
    advance(100ms);
    if (i % 4 == 3) executor_says(e1_, {running(1)});
    admission_says({open_at(1, e1_)});
    ASSERT_TRUE(lost().empty()) << i;
  }
}

TEST_F(FailureTest, OurOwnPauseIsNobodysDeath) {
  now_ += 30s;
  scheduler_.tick(now_, out_);
  EXPECT_TRUE(lost().empty());
  EXPECT_NE(scheduler_.audit_json(now_).find("\"placed\":1"), std::string::npos);
  executor_says(e1_, {running(1)});
  admission_says({open_at(1, e1_)});
  advance(100ms);
  EXPECT_TRUE(lost().empty());
}

TEST_F(FailureTest, ASilentExecutorThatComesBackIsFenced) {
  for (int i = 0; i < 21; ++i) {
    advance(100ms);
    admission_says({open_at(1, e1_)});
  }
  ASSERT_FALSE(lost().empty());
  submit(open_request(1, 2));
  executor_says(e1_, {running(1)});
  EXPECT_EQ(taken<mesh::Who>(e1_).size(), 1u);
  hello(ServiceKind::executor, e1_);
  for (int i = 0; i < 3; ++i) beats({open_request(1, 2)}, {running(1)});
  const auto stops = taken<mesh::Stop>(e1_);
  ASSERT_FALSE(stops.empty());
  EXPECT_EQ(stops[0].key, key(1)) << "the old epoch";
}

TEST_F(FailureTest, AStalledExecutorLosesItsRequestsAndItsPlace) {
  auto stuck = beat({running(1)});
  for (int i = 0; i < 20; ++i) {
    advance(100ms);
    admission_says({open_at(1, e1_)});
    receive(e1_, stuck);
    ASSERT_TRUE(lost().empty()) << i;
  }
  advance(200ms);
  const auto told = lost();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].reason, LostReason::stalled);
  submit(open_request(1, 2));
  EXPECT_EQ(placed(1, 2), "") << "it is out of placement";
  beats({open_request(1, 2)}, {running(1)});
  beats({open_request(1, 2)}, {running(1)});
  EXPECT_FALSE(taken<mesh::Stop>(e1_).empty()) << "awake again: the old epoch is stopped";
  executor_says(e1_, {});
  EXPECT_EQ(placed(1, 2), "executor-1");
}

TEST_F(FailureTest, ADeadAdmissionsRequestsAreForgottenAndStopped) {
  hello(ServiceKind::admission, peer("admission", 2));
  EXPECT_TRUE(balanced());
  EXPECT_NE(scheduler_.audit_json(now_).find("\"requests\":0"), std::string::npos);
  for (int i = 0; i < 3; ++i) {
    advance(100ms);
    receive(peer("admission", 2), mesh::AdmissionBeat{ServiceState::ready, {}, heard_});
    executor_says(e1_, {running(1)});
  }
  EXPECT_FALSE(taken<mesh::Stop>(e1_).empty());
}

TEST_F(FailureTest, ClaimedByBothStays) {
  for (int i = 0; i < 50; ++i) beats({open_at(1, e1_)}, {running(1)});
  EXPECT_TRUE(lost().empty());
  EXPECT_TRUE(taken<mesh::Stop>(e1_).empty());
}

TEST_F(FailureTest, ClaimedByTheExecutorOnlyIsStoppedAfterTwoBeats) {
  beats({open_at(1, e1_)}, {running(1), running(2)});
  EXPECT_TRUE(taken<mesh::Stop>(e1_).empty());
  beats({open_at(1, e1_)}, {running(1), running(2)});
  const auto stops = taken<mesh::Stop>(e1_);
  ASSERT_EQ(stops.size(), 1u);
  EXPECT_EQ(stops[0].key, key(2));
  EXPECT_TRUE(lost().empty());
}

TEST_F(FailureTest, ClaimedByAdmissionOnlyIsLostAfterTwoBeats) {
  beats({open_at(1, e1_)}, {});
  EXPECT_TRUE(lost().empty());
  beats({open_at(1, e1_)}, {});
  const auto told = lost();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].reason, LostReason::unclaimed);
  EXPECT_FALSE(told[0].counted_crash);
}

TEST_F(FailureTest, AFinishedTailIsAClaim) {
  auto finished = running(1);
  finished.finished = true;
  for (int i = 0; i < 10; ++i) beats({open_at(1, e1_)}, {finished});
  EXPECT_TRUE(lost().empty());
}

TEST_F(FailureTest, BeatsSentBeforeTheStartDoNotCount) {
  submit(open_request(2));
  for (int i = 0; i < 5; ++i) executor_says(e1_, {running(1)});  // within a moment
  admission_says({open_at(1, e1_), open_at(2, e1_)});
  for (int i = 0; i < 5; ++i) executor_says(e1_, {running(1)});
  EXPECT_TRUE(lost().empty());
}

TEST_F(FailureTest, ADroppedPlacedIsSaidAgain) {
  submit(open_request(2));
  out_ = {};
  for (int i = 0; i < 3; ++i) beats({open_at(1, e1_), open_request(2)}, {running(1)});
  EXPECT_EQ(placed(2), "executor-1");
  EXPECT_TRUE(lost().empty());
}

TEST_F(FailureTest, ADroppedLostIsSaidAgain) {
  receive(peer("node"), mesh::ChildDied{e1_, -9, "SIGKILL"});
  out_ = {};
  for (int i = 0; i < 3; ++i) {
    advance(100ms);
    admission_says({open_at(1, e1_)});
  }
  const auto told = lost();
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told[0].reason, LostReason::dead);
}

TEST_F(FailureTest, ADroppedClosedIsNoticed) {
  beats({}, {running(1)});
  EXPECT_TRUE(taken<mesh::Stop>(e1_).empty());
  beats({}, {running(1)});
  beats({}, {running(1)});
  EXPECT_NE(scheduler_.audit_json(now_).find("\"requests\":0"), std::string::npos);
  beats({}, {running(1)});
  EXPECT_FALSE(taken<mesh::Stop>(e1_).empty());
}

TEST_F(FailureTest, AfterACrashItTakesOneAtATime) {
  receive(peer("node"), mesh::ChildDied{e1_, -11, "SIGSEGV", true, true});
  add_executor(peer("executor-1", 2));
  for (std::uint64_t n = 2; n <= 4; ++n) submit(open_request(n));
  EXPECT_EQ(taken<mesh::Placed>(admission_).size(), 1u);
}

// Whatever crashed it, its engine goes: nobody else has to wait for the end of a probation.
TEST_F(FailureTest, ATokenEndsTheProbation) {
  receive(peer("node"), mesh::ChildDied{e1_, -11, "SIGSEGV", true, true});
  const auto reborn = peer("executor-1", 2);
  add_executor(reborn);
  for (std::uint64_t n = 2; n <= 4; ++n) submit(open_request(n));
  EXPECT_EQ(taken<mesh::Placed>(admission_).size(), 1u);
  auto runs = running(2);
  executor_says(reborn, {runs});
  EXPECT_TRUE(taken<mesh::Placed>(admission_).empty()) << "it may crash in the prefill";
  runs.next = TokenIndex{1};
  executor_says(reborn, {runs});
  EXPECT_EQ(taken<mesh::Placed>(admission_).size(), 2u);
}

// The word of a crash comes late: what was placed there since was never on board.
TEST_F(FailureTest, ACrashCountsForWhatWasPlacedWhileItsBeatsCame) {
  advance(50ms);
  submit(open_request(2));
  advance(900ms);
  submit(open_request(3));
  receive(peer("node"), mesh::ChildDied{e1_, -11, "SIGSEGV", true, true});
  std::map<std::uint64_t, bool> counted;
  for (const mesh::Lost& told : lost()) counted[told.key.request.low] = told.counted_crash;
  EXPECT_EQ(counted, (std::map<std::uint64_t, bool>{{1, true}, {2, true}, {3, false}}));
}

// Requests 1 and 2 were on board of a crash; now executor-2 takes them, and it serves others too.
class SuspectTest : public FailureTest {
 protected:
  void SetUp() override {
    FailureTest::SetUp();
    submit(open_request(2));
    receive(peer("node"), mesh::ChildDied{e1_, -11, "SIGSEGV", true, true});
    EXPECT_EQ(counted(), (std::set<std::uint64_t>{1, 2}));
    out_ = {};
    add_executor(e2_);
    for (std::uint64_t n = 1; n <= 2; ++n) submit(open_request(n, 2));
    submit(open_request(3));
  }
  std::set<std::uint64_t> counted() {
    std::set<std::uint64_t> found;
    for (const mesh::Lost& told : lost()) {
      if (told.counted_crash) found.insert(told.key.request.low);
    }
    return found;
  }
  std::set<std::uint64_t> all_placed() {
    std::set<std::uint64_t> found;
    for (const auto& told : taken<mesh::Placed>(admission_)) found.insert(told.key.request.low);
    return found;
  }
  static mesh::RunningRequest with_token(std::uint64_t n) {
    auto runs = running(n, 2);
    runs.next = TokenIndex{1};
    return runs;
  }
};

TEST_F(SuspectTest, NoTwoAreTogetherUntilOneHasBroughtAToken) {
  EXPECT_EQ(all_placed(), (std::set<std::uint64_t>{1, 3})) << "and nobody else waits for them";
  executor_says(e2_, {running(1, 2), running(3)});
  EXPECT_TRUE(all_placed().empty());
  executor_says(e2_, {with_token(1), running(3)});
  EXPECT_EQ(all_placed(), (std::set<std::uint64_t>{2}));
}

TEST_F(SuspectTest, TheNextCrashIsTheSuspectsAndNoNeighbours) {
  executor_says(e2_, {running(1, 2), running(3)});
  receive(peer("node"), mesh::ChildDied{e2_, -11, "SIGSEGV", true, true});
  EXPECT_EQ(counted(), (std::set<std::uint64_t>{1}));
}

TEST_F(SuspectTest, OneThatHasBroughtATokenIsNoMoreThanAnother) {
  executor_says(e2_, {with_token(1), running(3)});
  executor_says(e2_, {with_token(1), with_token(2), running(3)});
  receive(peer("node"), mesh::ChildDied{e2_, -11, "SIGSEGV", true, true});
  EXPECT_EQ(counted(), (std::set<std::uint64_t>{1, 2, 3}));
}

TEST_F(FailureTest, AfterAKillItTakesAll) {
  receive(peer("node"), mesh::ChildDied{e1_, -9, "SIGKILL", false, true});
  add_executor(peer("executor-1", 2));
  for (std::uint64_t n = 2; n <= 4; ++n) submit(open_request(n));
  EXPECT_EQ(taken<mesh::Placed>(admission_).size(), 3u);
}

TEST_F(FailureTest, AStaleBeatMovesNothing) {
  receive(peer("node"), mesh::ChildDied{e1_, -9, "SIGKILL"});
  add_executor(e2_);
  submit(open_request(1, 2));
  EXPECT_EQ(placed(1, 2), "executor-2");
  admission_says({open_at(1, e1_)});
  EXPECT_NE(scheduler_.audit_json(now_).find("\"homeless\":0"), std::string::npos);
  for (int i = 0; i < 5; ++i) {
    advance(100ms);
    admission_says({open_at(1, e2_, 2)});
    executor_says(e2_, {running(1, 2)});
  }
  EXPECT_TRUE(taken<mesh::Stop>(e2_).empty());
  EXPECT_EQ(lost().size(), 1u) << "of its death alone";
}

TEST_F(FailureTest, ASecondCrashIsRunAlone) {
  for (std::uint32_t epoch = 1; epoch <= 2; ++epoch) {
    const auto life = peer("executor-1", epoch);
    receive(peer("node"), mesh::ChildDied{life, -11, "SIGSEGV", true, true});
    submit(open_request(1, epoch + 1));
    add_executor(peer("executor-1", epoch + 1));
    advance(11s);  // beyond its probation
    hello(ServiceKind::node, peer("node"));
    hello(ServiceKind::admission, admission_);
    submit(open_request(1, epoch + 1));
    add_executor(peer("executor-1", epoch + 1));
  }
  out_ = {};
  submit(open_request(2));
  EXPECT_EQ(placed(2), "") << "nobody joins the suspect";
}

}  // namespace
}  // namespace aorta::scheduler
