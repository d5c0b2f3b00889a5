// Queueing, placing, the lives of a request, and what admissions are told.
#include "tests/actors/scheduler/scheduler_harness.hpp"

namespace aorta::scheduler {
namespace {

using mesh::LostReason;
using mesh::ServiceKind;
using mesh::ServiceState;

TEST_F(SchedulerTest, PlacesWhereThereIsRoom) {
  submit(open_request(1));
  EXPECT_EQ(placed(1), "");
  add_executor(e1_);
  EXPECT_EQ(placed(1), "executor-1");
  EXPECT_TRUE(balanced());
}

TEST_F(SchedulerTest, TellsAtOnceOfTheFirstExecutorThatIsReady) {
  add_executor(e1_);
  const auto told = taken<mesh::SchedulerBeat>(admission_);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].executors_ready, 1u);
  add_executor(e2_);
  EXPECT_TRUE(taken<mesh::SchedulerBeat>(admission_).empty()) << "that can wait for the beat";
}

TEST_F(SchedulerTest, TellsAnAdmissionAtOnceOfExecutorsThatAreReady) {
  const mesh::PeerId early{"admission-2", Incarnation{3}}, late{"admission-3", Incarnation{3}};
  hello(mesh::ServiceKind::admission, early);
  EXPECT_TRUE(taken<mesh::SchedulerBeat>(early).empty()) << "nothing is known yet";
  add_executor(e1_);
  hello(mesh::ServiceKind::admission, late);
  const auto told = taken<mesh::SchedulerBeat>(late);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].executors_ready, 1u);
}

TEST_F(SchedulerTest, NeverPlacesMoreThanTheSlots) {
  add_executor(e1_);
  for (std::uint64_t n = 1; n <= 10; ++n) submit(open_request(n));
  EXPECT_EQ(taken<mesh::Placed>(admission_).size(), 4u);
  executor_says(e1_, {running(1), running(2), running(3), running(4)});
  EXPECT_TRUE(taken<mesh::Placed>(admission_).empty());
  receive(admission_, mesh::Closed{key(2).request});
  EXPECT_TRUE(taken<mesh::Placed>(admission_).empty()) << "it still runs there";
  executor_says(e1_, {running(1), running(3), running(4)});
  EXPECT_EQ(placed(5), "executor-1");
  EXPECT_TRUE(balanced());
}

TEST_F(SchedulerTest, SubmittedTwiceIsPlacedOnceAndToldTwice) {
  add_executor(e1_);
  submit(open_request(1));
  submit(open_request(1));
  const auto told = taken<mesh::Placed>(admission_);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].key, told[1].key);
  EXPECT_EQ(told[0].executor, told[1].executor);
  for (std::uint64_t n = 2; n <= 5; ++n) submit(open_request(n));
  EXPECT_EQ(taken<mesh::Placed>(admission_).size(), 3u) << "one slot was taken, not two";
}

TEST_F(SchedulerTest, OldEpochsAreIgnored) {
  submit(open_request(1, 3));
  submit(open_request(1, 2));
  add_executor(e1_);
  const auto told = taken<mesh::Placed>(admission_);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].key.epoch, Epoch{3});
}

TEST_F(SchedulerTest, ClosedIsForgotten) {
  submit(open_request(1));
  receive(admission_, mesh::Closed{key(1).request});
  add_executor(e1_);
  EXPECT_EQ(placed(1), "");
  EXPECT_TRUE(balanced());
}

TEST_F(SchedulerTest, AnothersClosedChangesNothing) {
  hello(ServiceKind::admission, peer("admission-2"));
  submit(open_request(1));
  receive(peer("admission-2"), mesh::Closed{key(1).request});
  add_executor(e1_);
  EXPECT_EQ(placed(1), "executor-1");
}

TEST_F(SchedulerTest, ALostRequestComesBackAtItsOldPlace) {
  add_executor(e1_);
  submit(open_request(1));
  executor_says(e1_, {running(1)});
  advance(50ms);
  for (std::uint64_t n = 2; n <= 9; ++n) submit(open_request(n));
  receive(peer("node"), mesh::Hello{.kind = ServiceKind::node, .self = peer("node")});
  receive(peer("node"), mesh::ChildDied{e1_, -9, "SIGKILL"});
  out_ = {};
  mesh::OpenRequest again = open_request(1, 2);
  again.generated_tokens = 7;
  submit(again);
  mesh::ExecutorBeat one_slot = beat();
  one_slot.slots_total = 1;
  hello(ServiceKind::executor, e2_);
  receive(e2_, one_slot);
  EXPECT_EQ(placed(1, 2), "executor-2") << "before those that came after it";
}

TEST_F(SchedulerTest, ADrainingExecutorGetsNothingNew) {
  add_executor(e1_);
  mesh::ExecutorBeat draining = beat();
  draining.state = ServiceState::draining;
  receive(e1_, draining);
  submit(open_request(1));
  EXPECT_EQ(placed(1), "");
}

TEST_F(SchedulerTest, OneThatIsWantedDrainedGetsNothingNew) {
  add_executor(e1_);
  hello(ServiceKind::monitor, peer("monitor"));
  receive(peer("monitor"), mesh::Desired{0, {"executor-1"}});
  submit(open_request(1));
  EXPECT_EQ(placed(1), "");
}

TEST_F(SchedulerTest, DeclinedPlacementsDoNotSpin) {
  add_executor(e1_);
  submit(open_request(1));
  EXPECT_EQ(placed(1), "executor-1");
  submit(open_request(1, 2));
  EXPECT_EQ(placed(1, 2), "") << "its next beat will tell why";
  executor_says(e1_, {});
  EXPECT_EQ(placed(1, 2), "executor-1");
}

TEST_F(SchedulerTest, AdmissionsAreToldFiguresEachBeat) {
  add_executor(e1_);
  out_ = {};  // what it says of its first executor
  for (std::uint64_t n = 1; n <= 6; ++n) submit(open_request(n));
  advance(100ms);
  const auto beats = taken<mesh::SchedulerBeat>(admission_);
  ASSERT_EQ(beats.size(), 1u);
  EXPECT_EQ(beats[0].slots_total, 4u);
  EXPECT_EQ(beats[0].slots_free, 0u);
  EXPECT_EQ(beats[0].executors_ready, 1u);
  EXPECT_EQ(beats[0].queued, (std::vector<std::uint32_t>{0, 2, 0}));
  EXPECT_EQ(beats[0].running, (std::vector<std::uint32_t>{0, 4, 0}));
  EXPECT_EQ(beats[0].starts_per_minute, 0u) << "nothing has ended yet";
}

TEST_F(SchedulerTest, CapacityIsMeasuredByHowLongSlotsAreHeld) {
  add_executor(e1_);
  submit(open_request(1));
  executor_says(e1_, {running(1)});
  advance(1s);
  executor_says(e1_, {});
  receive(admission_, mesh::Closed{key(1).request});
  advance(100ms);
  const auto beats = taken<mesh::SchedulerBeat>(admission_);
  ASSERT_FALSE(beats.empty());
  EXPECT_EQ(beats.back().starts_per_minute, 240u);
}

TEST_F(SchedulerTest, KnownSlotsOutliveARestartOfAll) {
  add_executor(e1_);
  advance(100ms);
  receive(e1_, mesh::Goodbye{});
  out_ = {};
  advance(100ms);
  const auto beats = taken<mesh::SchedulerBeat>(admission_);
  ASSERT_FALSE(beats.empty());
  EXPECT_EQ(beats.back().slots_total, 0u);
  EXPECT_EQ(beats.back().slots_known, 4u);
}

TEST_F(SchedulerTest, ExecutorsToComeAreCounted) {
  hello(ServiceKind::node, peer("node"));
  receive(peer("node"), mesh::NodeReport{2, {}});
  add_executor(e1_);
  advance(100ms);
  EXPECT_EQ(taken<mesh::SchedulerBeat>(admission_).back().executors_coming, 1u);
  hello(ServiceKind::monitor, peer("monitor"));
  receive(peer("monitor"), mesh::Desired{1, {}});
  receive(e1_, beat());
  advance(100ms);
  EXPECT_EQ(taken<mesh::SchedulerBeat>(admission_).back().executors_coming, 0u);
}

TEST_F(SchedulerTest, LeavesAtOnceWhenDrained) {
  scheduler_.drain(now_, out_);
  ASSERT_TRUE(out_.leave);
  EXPECT_EQ(out_.leave->exit_code, 0);
  EXPECT_EQ(taken<mesh::Goodbye>(admission_).size(), 1u);
}

TEST_F(SchedulerTest, TenantsTakeTurns) {
  mesh::ExecutorBeat one_slot = beat();
  one_slot.slots_total = 1;
  hello(ServiceKind::executor, e1_);
  for (std::uint64_t n = 1; n <= 4; ++n) submit(open_request(n));
  for (std::uint64_t n = 11; n <= 14; ++n) {
    mesh::OpenRequest other = open_request(n);
    other.tenant = "other";
    submit(other);
  }
  std::vector<std::uint64_t> order;
  for (int i = 0; i < 8; ++i) {
    receive(e1_, one_slot);
    const auto told = taken<mesh::Placed>(admission_);
    ASSERT_EQ(told.size(), 1u);
    order.push_back(told[0].key.request.low);
    receive(admission_, mesh::Closed{told[0].key.request});
    const auto next = taken<mesh::Placed>(admission_);  // never seen running: free at once
    if (!next.empty()) {
      order.push_back(next[0].key.request.low);
      receive(admission_, mesh::Closed{next[0].key.request});
    }
    if (order.size() >= 4) break;
  }
  int others = 0;
  for (int i = 0; i < 4; ++i) others += order[static_cast<std::size_t>(i)] > 10;
  EXPECT_EQ(others, 2);
}

// What was generated after the last beat is in Closed alone.
TEST_F(SchedulerTest, TenantsPayForTheTailOfAnAnswer) {
  mesh::ExecutorBeat one_slot = beat();
  one_slot.slots_total = 1;
  hello(ServiceKind::executor, e1_);
  receive(e1_, one_slot);
  for (std::uint64_t n : {1, 2, 3}) submit(open_request(n));
  for (std::uint64_t n : {11, 12, 13}) {
    mesh::OpenRequest other = open_request(n);
    other.tenant = "brief";
    submit(other);
  }
  std::vector<std::uint64_t> order;
  while (order.size() < 5) {
    const auto told = taken<mesh::Placed>(admission_);
    ASSERT_EQ(told.size(), 1u);
    order.push_back(told[0].key.request.low);
    const bool brief = order.back() > 10;
    receive(admission_, mesh::Closed{told[0].key.request, brief ? 10u : 500u});
  }
  EXPECT_EQ(order, (std::vector<std::uint64_t>{1, 11, 12, 13, 2}));
}

}  // namespace
}  // namespace aorta::scheduler
