// The node agent event by event: how many executors there are, who is restarted when, who is
// stopped in which order, and who is told.
#include "actors/node/node.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <set>

namespace aorta::node {
namespace {

using mesh::ServiceKind;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int clean = 0;

class NodeTest : public ::testing::Test {
 protected:
  void begin(std::uint32_t executors, std::vector<ChildSpec> fixed = {}) {
    NodeOptions options;
    options.attendance.scheduler_address = "inproc://scheduler";
    options.attendance.monitor_address = "inproc://monitor";
    options.executors = executors;
    options.fixed = std::move(fixed);
    options.max_executors = 8;
    mesh::Hello hello;
    hello.kind = ServiceKind::node;
    hello.self = {"node", Incarnation{1}};
    node.emplace(hello, options);
    node->start(now, out);
    for (const char* name : {"scheduler", "monitor"}) {
      node->receive({name, {}}, mesh::Welcome{mesh::protocol_version, {name, Incarnation{7}}}, now,
                    out);
    }
    obey();
  }

  // The spawner: starts at once whatever it is told to, and notes signals.
  void obey() {
    for (const ChildAction& action : node->take_actions()) {
      if (auto* start = std::get_if<StartChild>(&action)) {
        starts.push_back(start->spec.name);
        pids[start->spec.name] = ++last_pid;
        node->child_started(start->spec.name, last_pid, Incarnation{100 + last_pid}, now, out);
      } else {
        const auto& signal = std::get<SignalChild>(action);
        signals.emplace_back(signal.name, signal.signal);
      }
    }
    if (!node->take_actions().empty()) ADD_FAILURE() << "starting a child asks for more";
  }

  void exits(const std::string& name, const Death& death) {
    node->child_exited(name, death, now, out);
    obey();
  }

  void desire(std::uint32_t executors, std::vector<std::string> draining = {}) {
    node->receive({"monitor", {}}, mesh::Desired{executors, draining}, now, out);
    obey();
  }

  void advance(Duration by) {
    const TimePoint until = now + by;
    while (node->next_tick() <= until) {
      now = std::max(now, node->next_tick());
      node->tick(now, out);
      obey();
    }
    now = until;
  }

  void members_are(const std::vector<std::string>& names) {
    mesh::Membership membership;
    for (const std::string& name : names) {
      mesh::Member member;
      member.self = {name, Incarnation{1}};
      member.pid = pids[name];
      member.state = mesh::ServiceState::ready;
      membership.members.push_back(member);
    }
    node->receive({"scheduler", {}}, membership, now, out);
  }

  std::set<std::string> running() const {
    std::set<std::string> names;
    for (const auto& [name, child] : node->children()) {
      if (child.phase == Phase::running) names.insert(name);
    }
    return names;
  }

  template <class M>
  std::vector<M> sent_to(const std::string& name) const {
    std::vector<M> found;
    for (const auto& send : out.sends) {
      if (send.to.name != name) continue;
      if (auto* message = std::get_if<M>(&send.message)) found.push_back(*message);
    }
    return found;
  }

  const Death killed{-SIGKILL, "SIGKILL", false};
  const Death crashed{-SIGSEGV, "SIGSEGV", true};
  const Death left{clean, "exit code 0", false};

  TimePoint now{seconds(1000)};
  mesh::Outbox out;
  std::optional<Node> node;
  std::vector<std::string> starts;
  std::vector<std::pair<std::string, int>> signals;
  std::map<std::string, std::uint32_t> pids;
  std::uint32_t last_pid = 0;
};

using Names = std::vector<std::string>;
using Signals = std::vector<std::pair<std::string, int>>;

TEST_F(NodeTest, StartsFixedServicesAndExecutors) {
  begin(2, {{"scheduler", ServiceKind::scheduler}, {"admission", ServiceKind::admission}});
  EXPECT_EQ(running(),
            (std::set<std::string>{"admission", "executor-1", "executor-2", "scheduler"}));
  EXPECT_FALSE(node->whole());
  members_are({"scheduler", "admission", "executor-1"});
  EXPECT_FALSE(node->whole());
  members_are({"scheduler", "admission", "executor-1", "executor-2"});
  EXPECT_TRUE(node->whole());
}

TEST_F(NodeTest, StartsExecutorsFirst) {
  begin(2, {{"scheduler", ServiceKind::scheduler}, {"admission", ServiceKind::admission}});
  EXPECT_EQ(starts,
            (std::vector<std::string>{"executor-1", "executor-2", "scheduler", "admission"}));
}

TEST_F(NodeTest, ScalesUpAndDrainsTheNewest) {
  begin(2);
  desire(4);
  EXPECT_EQ(starts, (Names{"executor-1", "executor-2", "executor-3", "executor-4"}));
  desire(1);
  EXPECT_EQ(signals,
            (Signals{{"executor-4", SIGTERM}, {"executor-3", SIGTERM}, {"executor-2", SIGTERM}}));
  for (const char* name : {"executor-2", "executor-3", "executor-4"}) exits(name, left);
  EXPECT_EQ(running(), (std::set<std::string>{"executor-1"}));
  EXPECT_EQ(starts.size(), 4u);
}

TEST_F(NodeTest, MoreThanTheLimitIsCutOff) {
  begin(1);
  desire(1000);
  EXPECT_EQ(running().size(), 8u);
}

TEST_F(NodeTest, ADrainedOneLeavesAndAnotherCountMeansNoReplacement) {
  begin(3);
  desire(2, {"executor-1"});
  EXPECT_EQ(signals, (Signals{{"executor-1", SIGTERM}}));
  exits("executor-1", left);
  advance(seconds(30));
  EXPECT_EQ(running(), (std::set<std::string>{"executor-2", "executor-3"}));
  desire(3);
  EXPECT_EQ(starts.back(), "executor-1") << "the smallest free number";
}

TEST_F(NodeTest, DrainingAFixedServiceIsNotForExecutorsDesired) {
  begin(1, {{"admission", ServiceKind::admission}});
  desire(1, {"admission"});
  EXPECT_TRUE(signals.empty());
}

TEST_F(NodeTest, FirstDeathIsToldAndRestartedAtOnce) {
  begin(1);
  const std::uint32_t pid = pids["executor-1"];
  advance(seconds(5));
  out = {};
  exits("executor-1", killed);
  EXPECT_EQ(starts, (Names{"executor-1", "executor-1"}));
  for (const char* to : {"scheduler", "monitor"}) {
    const auto told = sent_to<mesh::ChildDied>(to);
    ASSERT_EQ(told.size(), 1u) << to;
    EXPECT_EQ(told[0].child.name, "executor-1");
    EXPECT_EQ(told[0].child.incarnation.value, 100 + pid) << "the life that died";
    EXPECT_EQ(told[0].cause, "SIGKILL");
    EXPECT_EQ(told[0].exit_code, -SIGKILL);
    EXPECT_FALSE(told[0].counted_crash);
    EXPECT_TRUE(told[0].restarting);
  }
}

// A request that crashes each engine it comes to must not keep the others waiting.
TEST_F(NodeTest, ACrashOfOneThatServedDoesNotBackOff) {
  begin(1);
  for (int crash = 0; crash < 10; ++crash) {
    members_are({"executor-1"});
    advance(milliseconds(500));
    const std::size_t before = starts.size();
    exits("executor-1", crashed);
    EXPECT_EQ(starts.size(), before + 1) << crash;
  }
  exits("executor-1", crashed);  // this life never served
  advance(milliseconds(100));
  const std::size_t before = starts.size();
  exits("executor-1", crashed);
  EXPECT_EQ(starts.size(), before) << "the second of its kind waits";
}

TEST_F(NodeTest, OnlyCountedCrashesBackOff) {
  begin(1);
  std::vector<Duration> waits;
  for (int crash = 0; crash < 10; ++crash) {
    advance(milliseconds(500));
    const TimePoint died = now;
    const std::size_t before = starts.size();
    exits("executor-1", crashed);
    while (starts.size() == before) advance(milliseconds(1));
    waits.push_back(now - died);
  }
  EXPECT_EQ(waits, (std::vector<Duration>{milliseconds(0), milliseconds(100), milliseconds(200),
                                          milliseconds(400), milliseconds(800), milliseconds(1600),
                                          milliseconds(3200), milliseconds(6400), seconds(10),
                                          seconds(10)}));
  advance(seconds(11));  // it lived well: the row of crashes is over
  const std::size_t before = starts.size();
  exits("executor-1", crashed);
  EXPECT_EQ(starts.size(), before + 1);

  for (int kill = 0; kill < 10; ++kill) {  // nobody's fault: at once, each time
    advance(milliseconds(500));
    const std::size_t starts_before = starts.size();
    exits("executor-1", killed);
    EXPECT_EQ(starts.size(), starts_before + 1) << kill;
  }
}

TEST_F(NodeTest, TryAgainBacksOffAndBlamesNobody) {
  begin(1);
  advance(seconds(1));
  exits("executor-1", {75, "exit code 75", false});
  EXPECT_EQ(starts.size(), 2u);
  EXPECT_FALSE(sent_to<mesh::ChildDied>("scheduler").back().counted_crash);
  for (const Duration wait : {milliseconds(100), milliseconds(200), milliseconds(400)}) {
    exits("executor-1", {75, "exit code 75", false});
    const std::size_t before = starts.size();
    advance(wait - milliseconds(1));
    EXPECT_EQ(starts.size(), before);
    advance(milliseconds(1));
    EXPECT_EQ(starts.size(), before + 1);
  }
}

TEST_F(NodeTest, InstantDeathsDoNotKeepTheHostBusy) {
  begin(1);
  for (int death = 0; death < 50; ++death) {
    exits("executor-1", killed);
    while (running().empty()) advance(milliseconds(1));
  }
  EXPECT_GE(now - TimePoint{seconds(1000)}, milliseconds(50 * 100));
}

TEST_F(NodeTest, BadConfigurationIsNotRestartedAndKeepsItsPlace) {
  begin(1);
  exits("executor-1", {78, "exit code 78", false});
  advance(seconds(60));
  EXPECT_EQ(starts.size(), 1u);
  EXPECT_FALSE(sent_to<mesh::ChildDied>("monitor").back().restarting);
  EXPECT_EQ(sent_to<mesh::NodeReport>("monitor").back().children[0].state,
            mesh::ServiceState::dead);
  desire(2);
  EXPECT_EQ(starts, (Names{"executor-1", "executor-2"}));
  desire(1);
  EXPECT_EQ(running(), (std::set<std::string>{"executor-2"})) << "the one that runs is kept";
}

TEST_F(NodeTest, AFixedServiceThatCannotRunEndsTheAgent) {
  begin(1, {{"admission", ServiceKind::admission}, {"scheduler", ServiceKind::scheduler}});
  exits("admission", {78, "exit code 78", false});
  EXPECT_EQ(signals, (Signals{{"executor-1", SIGTERM}}));
  exits("executor-1", left);
  exits("scheduler", left);
  ASSERT_TRUE(out.leave.has_value());
  EXPECT_EQ(out.leave->exit_code, 78);
  EXPECT_NE(out.leave->reason.find("admission"), std::string::npos);
}

TEST_F(NodeTest, DrainStopsAdmissionThenExecutorsThenTheRest) {
  begin(2, {{"scheduler", ServiceKind::scheduler},
            {"monitor", ServiceKind::monitor},
            {"admission", ServiceKind::admission}});
  node->drain(now, out);
  obey();
  EXPECT_EQ(signals, (Signals{{"admission", SIGTERM}}));
  exits("executor-1", killed);  // while admission still drains: it is not replaced
  exits("admission", left);
  exits("executor-1", left);
  EXPECT_EQ(signals.back(), (std::pair<std::string, int>{"executor-2", SIGTERM}));
  EXPECT_FALSE(out.leave.has_value());
  exits("executor-2", left);
  exits("scheduler", left);
  exits("monitor", left);
  ASSERT_TRUE(out.leave.has_value());
  EXPECT_EQ(out.leave->exit_code, 0);
}

TEST_F(NodeTest, OneThatDoesNotLeaveIsKilled) {
  begin(1);
  desire(0);
  advance(seconds(34));
  EXPECT_EQ(signals.size(), 1u);
  advance(seconds(2));
  ASSERT_EQ(signals.size(), 2u);
  EXPECT_EQ(signals.back(), (std::pair<std::string, int>{"executor-1", SIGKILL}));
}

TEST_F(NodeTest, StoppedBeforeItHasAPidIsSignalledLater) {
  begin(0);
  node->receive({"monitor", {}}, mesh::Desired{1, {}}, now, out);
  ASSERT_EQ(node->take_actions().size(), 1u);
  node->receive({"monitor", {}}, mesh::Desired{0, {}}, now, out);
  EXPECT_TRUE(node->take_actions().empty());
  node->child_started("executor-1", 5, Incarnation{9}, now, out);
  const auto actions = node->take_actions();
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(std::get<SignalChild>(actions[0]).pid, 5u);
}

TEST_F(NodeTest, ReportsOnChangeAndEachSecond) {
  begin(1);
  out = {};
  advance(milliseconds(3500));
  EXPECT_GE(sent_to<mesh::NodeReport>("monitor").size(), 3u);
  EXPECT_GE(sent_to<mesh::ServiceBeat>("scheduler").size(), 30u);
  EXPECT_GE(sent_to<mesh::Report>("monitor").size(), 3u);
  out = {};
  desire(2);
  const auto reports = sent_to<mesh::NodeReport>("monitor");
  ASSERT_FALSE(reports.empty());
  EXPECT_EQ(reports.back().desired_executors, 2u);
  EXPECT_EQ(reports.back().children.size(), 2u);
}

TEST_F(NodeTest, WithoutItsSpawnerItLeaves) {
  begin(1);
  node->spawner_gone(now, out);
  ASSERT_TRUE(out.leave.has_value());
  EXPECT_EQ(out.leave->exit_code, 1);
}

}  // namespace
}  // namespace aorta::node
