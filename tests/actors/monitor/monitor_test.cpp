// The monitor event by event: tools and their answers, shares of the desired size, audits that
// wait for all and try again.
#include "actors/monitor/monitor.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace aorta::monitor {
namespace {

using mesh::ServiceKind;
using mesh::ServiceState;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

class MonitorTest : public ::testing::Test {
 protected:
  MonitorTest() { begin({}); }
  void begin(MonitorOptions options) {
    options.attendance.scheduler_address = "inproc://scheduler";
    options.max_executors = 8;
    mesh::Hello hello;
    hello.kind = ServiceKind::monitor;
    hello.self = {"monitor", Incarnation{1}};
    monitor.emplace(hello, options);
    monitor->start(now, out);
    receive({"scheduler", {}},
            mesh::Welcome{mesh::protocol_version, {"scheduler", Incarnation{1}}});
    tool = join("tool-1", ServiceKind::tool);
  }

  void receive(const mesh::PeerId& from, const mesh::Message& message) {
    monitor->receive(from, message, now, out);
  }
  mesh::PeerId join(const std::string& name, ServiceKind kind, std::uint64_t life = 5) {
    mesh::Hello hello;
    hello.kind = kind;
    hello.self = {name, Incarnation{life}};
    receive(hello.self, hello);
    return hello.self;
  }
  void members_are(const std::vector<std::tuple<std::string, ServiceKind, ServiceState>>& all) {
    mesh::Membership membership;
    for (const auto& [name, kind, state] : all) {
      mesh::Member member;
      member.self = {name, Incarnation{5}};
      member.kind = kind;
      member.state = state;
      member.pid = 1;
      membership.members.push_back(member);
    }
    receive({"scheduler", {}}, membership);
  }
  void node_runs(const std::string& node, std::uint32_t desired,
                 const std::vector<std::pair<std::string, ServiceState>>& children) {
    const auto from = join(node, ServiceKind::node);
    mesh::NodeReport report{desired, {}};
    std::uint32_t pid = 100;
    for (const auto& [name, state] : children) {
      report.children.push_back({name, ServiceKind::executor, ++pid, state});
    }
    receive(from, report);
  }
  std::uint64_t ask(const std::string& verb, const std::string& argument = "") {
    receive(tool, mesh::Control{++token, verb, argument});
    return token;
  }
  void advance(Duration by) {
    const TimePoint until = now + by;
    while (monitor->next_tick() <= until) {
      now = std::max(now, monitor->next_tick());
      monitor->tick(now, out);
    }
    now = until;
  }
  template <class M>
  std::vector<M> sent_to(const std::string& name) const {
    std::vector<M> found;
    for (const auto& send : out.sends) {
      auto* message = std::get_if<M>(&send.message);
      if (message && send.to.name == name) found.push_back(*message);
    }
    return found;
  }
  std::optional<mesh::ControlReply> reply_to(std::uint64_t asked) const {
    for (const auto& reply : sent_to<mesh::ControlReply>("tool-1")) {
      if (reply.token == asked) return reply;
    }
    return std::nullopt;
  }

  TimePoint now{seconds(1000)};
  mesh::Outbox out;
  std::optional<Monitor> monitor;
  mesh::PeerId tool;
  std::uint64_t token = 0;
};

TEST_F(MonitorTest, PsJoinsMembersAndChildren) {
  members_are({{"scheduler", ServiceKind::scheduler, ServiceState::ready},
               {"executor-1", ServiceKind::executor, ServiceState::dead}});
  node_runs("node", 2,
            {{"executor-1", ServiceState::starting}, {"executor-2", ServiceState::starting}});
  const json list = json::parse(reply_to(ask("ps"))->text);
  std::vector<std::string> lines;
  for (const json& entry : list) {
    lines.push_back(entry["name"].get<std::string>() + " " + entry["state"].get<std::string>());
    for (const char* key : {"service", "pid", "incarnation", "addresses"}) {
      EXPECT_TRUE(entry.contains(key)) << key;
    }
  }
  EXPECT_EQ(lines, (std::vector<std::string>{"executor-1 starting", "executor-2 starting",
                                             "monitor ready", "scheduler ready"}));
}

TEST_F(MonitorTest, HealthWaitsUntilReadyOrTheDeadline) {
  members_are({{"executor-1", ServiceKind::executor, ServiceState::starting}});
  EXPECT_EQ(reply_to(ask("health", "executor-1"))->exit_code, 1);
  const auto patient = ask("health", "executor-1 wait_ms=5000");
  const auto late = ask("health", "executor-2 wait_ms=1000");
  EXPECT_FALSE(reply_to(patient).has_value());
  advance(seconds(2));
  EXPECT_FALSE(reply_to(patient).has_value());
  ASSERT_TRUE(reply_to(late).has_value());
  EXPECT_EQ(reply_to(late)->exit_code, 1);
  EXPECT_NE(reply_to(late)->text.find("there is no service 'executor-2'"), std::string::npos);
  members_are({{"executor-1", ServiceKind::executor, ServiceState::ready}});
  ASSERT_TRUE(reply_to(patient).has_value());
  EXPECT_EQ(reply_to(patient)->exit_code, 0);
}

TEST_F(MonitorTest, TheMeshIsReadyWhenItCanServe) {
  members_are({{"admission", ServiceKind::admission, ServiceState::ready}});
  EXPECT_EQ(reply_to(ask("health", "mesh"))->text, "no executor is ready");
  members_are({{"admission", ServiceKind::admission, ServiceState::ready},
               {"executor-1", ServiceKind::executor, ServiceState::ready}});
  EXPECT_EQ(reply_to(ask("health", "mesh"))->exit_code, 0);
}

TEST_F(MonitorTest, ScaleSharesEvenlyAndIsRepeated) {
  node_runs("node-a", 1, {{"executor-1", ServiceState::ready}});
  node_runs("node-b", 1, {{"executor-2", ServiceState::ready}});
  out = {};
  advance(seconds(3));
  EXPECT_TRUE(sent_to<mesh::Desired>("node-a").empty()) << "nobody has said anything yet";
  EXPECT_EQ(reply_to(ask("scale", "5"))->exit_code, 0);
  EXPECT_EQ(sent_to<mesh::Desired>("node-a").back().executors, 3u);
  EXPECT_EQ(sent_to<mesh::Desired>("node-b").back().executors, 2u);
  EXPECT_EQ(sent_to<mesh::Desired>("scheduler").back().executors, 5u);
  out = {};
  advance(seconds(3));
  EXPECT_GE(sent_to<mesh::Desired>("node-a").size(), 2u);
}

TEST_F(MonitorTest, ScaleRefusesWhatCannotBe) {
  EXPECT_EQ(reply_to(ask("scale", "2"))->exit_code, 3) << "no node agent";
  node_runs("node", 1, {});
  for (const char* wrong : {"many", "-1", "9", "", "2x"}) {
    const auto reply = reply_to(ask("scale", wrong));
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->exit_code, 2) << wrong;
    EXPECT_NE(reply->text.find("0 to 8"), std::string::npos) << reply->text;
  }
}

TEST_F(MonitorTest, WhereContainersComeAndGoItSaysWhatToRun) {
  begin({.actuates = false});
  node_runs("node-a1b2", 1, {{"executor-a1b2-1", ServiceState::ready}});
  mesh::Hello hello;
  hello.kind = ServiceKind::executor;
  hello.self = {"executor-a1b2-1", Incarnation{5}};
  hello.host = "a1b2";
  receive(hello.self, hello);
  const auto scaled = reply_to(ask("scale", "4"));
  EXPECT_EQ(scaled->exit_code, 3);
  EXPECT_NE(scaled->text.find("--scale executor=4"), std::string::npos) << scaled->text;
  const auto drained = reply_to(ask("drain", "executor-a1b2-1"));
  EXPECT_EQ(drained->exit_code, 3);
  EXPECT_NE(drained->text.find("docker stop -t 60 a1b2"), std::string::npos) << drained->text;
  advance(seconds(3));
  EXPECT_TRUE(sent_to<mesh::Desired>("node-a1b2").empty()) << "nobody's size was decided";
  EXPECT_EQ(monitor->fleet().desired(), 1u) << "still published";
}

TEST_F(MonitorTest, ANodeAgentIsAsReadyAsWhatItRuns) {
  members_are({{"node-a", ServiceKind::node, ServiceState::ready}});
  EXPECT_EQ(reply_to(ask("health", "node-a"))->text, "node-a has not said yet what it runs");
  node_runs("node-a", 1, {{"executor-a-1", ServiceState::starting}});
  EXPECT_EQ(reply_to(ask("health", "node-a"))->text, "node-a runs executor-a-1, which is starting");
  node_runs("node-a", 1,
            {{"executor-a-1", ServiceState::ready}, {"executor-a-2", ServiceState::draining}});
  EXPECT_EQ(reply_to(ask("health", "node-a"))->exit_code, 0) << "one that leaves as it should";
  node_runs("node-a", 1, {{"executor-a-1", ServiceState::dead}});
  EXPECT_EQ(reply_to(ask("health", "node-a"))->exit_code, 1);
}

TEST_F(MonitorTest, WhatADeadNodeAgentWantedCountsNoMore) {
  node_runs("node-a", 1, {});
  node_runs("node-b", 2, {});
  EXPECT_EQ(monitor->fleet().desired(), 3u);
  members_are({{"node-a", ServiceKind::node, ServiceState::ready},
               {"node-b", ServiceKind::node, ServiceState::dead}});
  EXPECT_EQ(monitor->fleet().desired(), 1u);
}

TEST_F(MonitorTest, ANodeAgentThatFellSilentCountsNoMore) {  // also where the scheduler knows none
  node_runs("node-a", 1, {});
  receive({"node-a", Incarnation{5}}, mesh::Report{});
  advance(seconds(9));
  EXPECT_EQ(monitor->fleet().desired(), 1u);
  advance(seconds(3));
  EXPECT_EQ(monitor->fleet().desired(), 0u);
}

TEST_F(MonitorTest, ScaleCanWaitUntilSettled) {
  node_runs("node", 1, {{"executor-1", ServiceState::ready}});
  members_are({{"executor-1", ServiceKind::executor, ServiceState::ready}});
  const auto asked = ask("scale", "2 wait_ms=60000");
  EXPECT_FALSE(reply_to(asked).has_value());
  node_runs("node", 2, {{"executor-1", ServiceState::ready}, {"executor-2", ServiceState::ready}});
  members_are({{"executor-1", ServiceKind::executor, ServiceState::ready},
               {"executor-2", ServiceKind::executor, ServiceState::ready}});
  ASSERT_TRUE(reply_to(asked).has_value());
  EXPECT_EQ(reply_to(asked)->text, "2 executors are ready");
}

TEST_F(MonitorTest, DrainNamesTheChildAndWantsOneLess) {
  node_runs("node", 2, {{"executor-1", ServiceState::ready}, {"executor-2", ServiceState::ready}});
  members_are({{"executor-1", ServiceKind::executor, ServiceState::ready},
               {"executor-2", ServiceKind::executor, ServiceState::ready}});
  const auto asked = ask("drain", "executor-1 wait_ms=60000");
  auto desired = sent_to<mesh::Desired>("node").back();
  EXPECT_EQ(desired.executors, 1u);
  EXPECT_EQ(desired.draining, (std::vector<std::string>{"executor-1"}));
  ask("drain", "executor-1");
  EXPECT_EQ(sent_to<mesh::Desired>("node").back().executors, 1u) << "asked twice, wanted once";
  members_are({{"executor-2", ServiceKind::executor, ServiceState::ready}});
  node_runs("node", 1, {{"executor-2", ServiceState::ready}});
  EXPECT_EQ(reply_to(asked)->text, "executor-1 has left");
  advance(seconds(2));
  EXPECT_TRUE(sent_to<mesh::Desired>("node").back().draining.empty());
}

TEST_F(MonitorTest, DrainOfOneWithoutANodeAgentIsAskedDirectly) {
  join("executor-7", ServiceKind::executor);
  members_are({{"executor-7", ServiceKind::executor, ServiceState::ready}});
  ask("drain", "executor-7");
  EXPECT_EQ(sent_to<mesh::Drain>("executor-7").size(), 1u);
  EXPECT_EQ(reply_to(ask("drain", "nobody"))->exit_code, 2);
}

TEST_F(MonitorTest, AuditWaitsForAllAndTriesAgain) {
  const auto executor = join("executor-1", ServiceKind::executor);
  const auto admission = join("admission", ServiceKind::admission);
  members_are({{"executor-1", ServiceKind::executor, ServiceState::ready},
               {"admission", ServiceKind::admission, ServiceState::ready},
               {"executor-9", ServiceKind::executor, ServiceState::dead}});
  const auto asked = ask("audit");
  const auto answer = [&](std::int64_t slots_used) {
    const auto round = sent_to<mesh::AuditRequest>("executor-1").back().token;
    receive(executor, mesh::AuditReply{
                          round, json{{"service", "executor"}, {"slots_used", slots_used}}.dump()});
    EXPECT_FALSE(reply_to(asked).has_value());
    receive(admission, mesh::AuditReply{round, R"({"service":"admission","accepted":3,
        "ended":{"stop":3},"open":{"queued":0,"placed":0,"parked":0}})"});
  };
  answer(1);  // a moment in which the two differ
  EXPECT_FALSE(reply_to(asked).has_value());
  advance(milliseconds(400));
  EXPECT_EQ(sent_to<mesh::AuditRequest>("executor-1").size(), 2u);
  answer(0);
  ASSERT_TRUE(reply_to(asked).has_value());
  EXPECT_EQ(reply_to(asked)->exit_code, 0) << reply_to(asked)->text;
  const json text = json::parse(reply_to(asked)->text);
  EXPECT_TRUE(text["balanced"].get<bool>());
  EXPECT_EQ(text["figures"]["accepted"], 3);
  EXPECT_EQ(text["services"].size(), 2u);
}

TEST_F(MonitorTest, AuditNamesThoseWhoDoNotAnswer) {
  join("executor-1", ServiceKind::executor);
  members_are({{"executor-1", ServiceKind::executor, ServiceState::ready}});
  const auto asked = ask("audit");
  advance(seconds(10));
  ASSERT_TRUE(reply_to(asked).has_value());
  EXPECT_EQ(reply_to(asked)->exit_code, 1);
  EXPECT_NE(reply_to(asked)->text.find("executor-1 did not answer"), std::string::npos);
}

TEST_F(MonitorTest, FiguresCarryTheirServiceAndAreForgotten) {
  const auto executor = join("executor-1", ServiceKind::executor);
  receive(executor, mesh::Report{ServiceState::ready, {{"aorta_x", "a=\"b\"", 2}}});
  const auto has = [&] {
    for (const auto& figure : monitor->figures()) {
      if (figure.labels == "service=\"executor-1\",a=\"b\"" && figure.value == 2) return true;
    }
    return false;
  };
  EXPECT_TRUE(has());
  advance(seconds(11));
  EXPECT_FALSE(has());
}

TEST_F(MonitorTest, UnknownVerbsAreNamed) {
  const auto reply = reply_to(ask("explode"));
  EXPECT_EQ(reply->exit_code, 2);
  EXPECT_NE(reply->text.find("'explode'"), std::string::npos);
}

}  // namespace
}  // namespace aorta::monitor
