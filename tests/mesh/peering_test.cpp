// Hellos, incarnations and who is told to leave, event by event.
#include "mesh/peering.hpp"

#include <gtest/gtest.h>

namespace aorta::mesh {
namespace {

using Outcome = Peering::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint start{seconds(100)};

PeerId id(const std::string& name, std::uint64_t incarnation) {
  return {name, Incarnation{incarnation}};
}

Hello hello(const std::string& name, std::uint64_t incarnation,
            ServiceKind kind = ServiceKind::executor) {
  return {.kind = kind, .self = id(name, incarnation), .pid = 7, .host = "here"};
}

// The only thing sent, which must be an M to `to`.
template <class M>
M sent(const Outbox& out, const PeerId& to) {
  EXPECT_EQ(out.sends.size(), 1u);
  if (out.sends.empty() || !std::holds_alternative<M>(out.sends[0].message)) {
    ADD_FAILURE() << "another message was sent";
    return {};
  }
  EXPECT_EQ(out.sends[0].to, to);
  return std::get<M>(out.sends[0].message);
}

TEST(PeeringDialler, RepeatsHelloUntilWelcome) {
  Peering peering(hello("executor-1", 5));
  Outbox out;
  peering.dial("scheduler", "inproc://s", start, out);
  ASSERT_EQ(out.dials.size(), 1u);
  EXPECT_EQ(sent<Hello>(out, id("scheduler", 0)).self, id("executor-1", 5));
  EXPECT_EQ(peering.next_tick(), start + milliseconds(200));

  out = {};
  peering.dial("scheduler", "inproc://s", start, out);
  EXPECT_TRUE(out.dials.empty() && out.sends.empty()) << "dialling again is no news";
  peering.tick(start + milliseconds(199), out);
  EXPECT_TRUE(out.sends.empty());
  peering.tick(start + milliseconds(200), out);
  sent<Hello>(out, id("scheduler", 0));

  out = {};
  const TimePoint later = start + milliseconds(250);
  const Welcome welcome{protocol_version, id("scheduler", 9)};
  EXPECT_EQ(peering.handle(id("scheduler", 0), welcome, later, out), Outcome::joined);
  EXPECT_EQ(peering.handle(id("scheduler", 0), welcome, later, out), Outcome::consumed);
  EXPECT_EQ(peering.next_tick(), never);
  ASSERT_TRUE(peering.find("scheduler"));
  EXPECT_EQ(peering.find("scheduler")->self, id("scheduler", 9));
  EXPECT_EQ(peering.handle(id("scheduler", 0), SchedulerBeat{}, later, out), Outcome::none);
  EXPECT_TRUE(out.sends.empty());
}

TEST(PeeringDialler, AnswersWhoAtOnceAndSeesTheRestart) {
  Peering peering(hello("executor-1", 5));
  Outbox out;
  peering.dial("scheduler", "inproc://s", start, out);
  peering.handle(id("scheduler", 0), Welcome{protocol_version, id("scheduler", 9)}, start, out);
  out = {};
  EXPECT_EQ(peering.handle(id("scheduler", 0), Who{}, start, out), Outcome::consumed);
  sent<Hello>(out, id("scheduler", 0));
  EXPECT_EQ(peering.next_tick(), start + milliseconds(200)) << "the hello may be lost";
  EXPECT_EQ(peering.handle(id("scheduler", 0), Who{}, start, out), Outcome::consumed);
  EXPECT_EQ(out.sends.size(), 1u) << "asked after each of many messages, one hello will do";
  EXPECT_EQ(peering.handle(id("scheduler", 0), Welcome{protocol_version, id("scheduler", 10)},
                           start, out),
            Outcome::restarted);
  EXPECT_EQ(peering.find("scheduler")->self, id("scheduler", 10));
  EXPECT_EQ(
      peering.handle(id("scheduler", 0), Welcome{protocol_version, id("scheduler", 9)}, start, out),
      Outcome::stale);
}

TEST(PeeringDialler, IgnoresAnotherServiceAtTheAddress) {
  Peering peering(hello("executor-1", 5));
  Outbox out;
  peering.dial("admission", "inproc://a", start, out);
  EXPECT_EQ(
      peering.handle(id("admission", 0), Welcome{protocol_version, id("cache", 3)}, start, out),
      Outcome::stale);
  EXPECT_EQ(peering.handle(id("admission", 0), Start{}, start, out), Outcome::stale);
  EXPECT_FALSE(peering.find("admission"));
  EXPECT_NE(peering.next_tick(), never) << "goes on calling";
}

TEST(PeeringDialler, DialsAnewAtAnotherAddressAndHangsUp) {
  Peering peering(hello("executor-1", 5));
  Outbox out;
  peering.dial("admission", "tcp://a:1", start, out);
  peering.handle(id("admission", 0), Welcome{protocol_version, id("admission", 2)}, start, out);
  out = {};
  peering.dial("admission", "tcp://a:2", start, out);
  ASSERT_EQ(out.dials.size(), 1u);
  EXPECT_EQ(out.dials[0].address, "tcp://a:2");
  sent<Hello>(out, id("admission", 0));
  out = {};
  peering.hang_up("admission", out);
  EXPECT_EQ(out.hangups, std::vector<std::string>{"admission"});
  EXPECT_FALSE(peering.find("admission"));
  EXPECT_EQ(peering.handle(id("admission", 0), Start{}, start, out), Outcome::stale)
      << "sent before we hung up";
  EXPECT_EQ(peering.next_tick(), never);
}

TEST(PeeringDialler, LeavesWhenSupersededOrRefused) {
  Peering peering(hello("executor-1", 5));
  Outbox out;
  peering.dial("scheduler", "inproc://s", start, out);
  for (const PeerId& by : {id("executor-1", 5), id("executor-1", 4), id("executor-2", 9)}) {
    EXPECT_EQ(peering.handle(id("scheduler", 0), Superseded{by}, start, out), Outcome::consumed);
    EXPECT_FALSE(out.leave);
  }
  EXPECT_EQ(peering.handle(id("scheduler", 0), Superseded{id("executor-1", 6)}, start, out),
            Outcome::leave);
  ASSERT_TRUE(out.leave);
  EXPECT_EQ(out.leave->exit_code, exit_superseded);
  out = {};
  EXPECT_EQ(peering.handle(id("scheduler", 0), Refused{"too old"}, start, out), Outcome::leave);
  ASSERT_TRUE(out.leave);
  EXPECT_EQ(out.leave->exit_code, exit_superseded);
  EXPECT_NE(out.leave->reason.find("too old"), std::string::npos);
  out = {};
  EXPECT_EQ(peering.handle(id("scheduler", 0), Welcome{protocol_version + 1, id("scheduler", 1)},
                           start, out),
            Outcome::leave);
}

TEST(PeeringBinder, WelcomesAndTheLargerIncarnationWins) {
  Peering peering(hello("scheduler", 1, ServiceKind::scheduler));
  Outbox out;
  EXPECT_EQ(peering.handle(id("executor-1", 5), hello("executor-1", 5), start, out),
            Outcome::joined);
  EXPECT_EQ(sent<Welcome>(out, id("executor-1", 5)).self, id("scheduler", 1));
  EXPECT_EQ(peering.handle(id("executor-1", 5), hello("executor-1", 5), start, out),
            Outcome::consumed);
  EXPECT_EQ(peering.find("executor-1")->kind, ServiceKind::executor);

  out = {};
  EXPECT_EQ(peering.handle(id("executor-1", 4), hello("executor-1", 4), start, out),
            Outcome::stale);
  EXPECT_EQ(sent<Superseded>(out, id("executor-1", 4)).by, id("executor-1", 5));

  out = {};
  EXPECT_EQ(peering.handle(id("executor-1", 6), hello("executor-1", 6), start, out),
            Outcome::restarted);
  ASSERT_EQ(out.sends.size(), 2u);
  EXPECT_EQ(out.sends[0].to, id("executor-1", 5));
  EXPECT_EQ(std::get<Superseded>(out.sends[0].message).by, id("executor-1", 6));
  EXPECT_TRUE(std::holds_alternative<Welcome>(out.sends[1].message));

  out = {};
  EXPECT_EQ(peering.handle(id("executor-1", 5), ExecutorBeat{}, start, out), Outcome::stale);
  sent<Superseded>(out, id("executor-1", 5));
}

TEST(PeeringBinder, AsksWhoOfStrangersAndDropsWhatTheySaid) {
  Peering peering(hello("scheduler", 1, ServiceKind::scheduler));
  Outbox out;
  EXPECT_EQ(peering.handle(id("executor-1", 5), ExecutorBeat{}, start, out), Outcome::stale);
  sent<Who>(out, id("executor-1", 5));
  out = {};
  peering.handle(id("executor-1", 5), hello("executor-1", 5), start, out);
  EXPECT_EQ(peering.handle(id("executor-1", 5), ExecutorBeat{}, start, out), Outcome::none);
  out = {};
  EXPECT_EQ(peering.handle(id("executor-1", 6), ExecutorBeat{}, start, out), Outcome::stale)
      << "a newer life that has not said hello";
  sent<Who>(out, id("executor-1", 6));
}

TEST(PeeringBinder, RefusesOtherProtocolsAndFalseNames) {
  Peering peering(hello("scheduler", 1, ServiceKind::scheduler));
  Outbox out;
  Hello newer = hello("executor-1", 5);
  newer.protocol = protocol_version + 1;
  EXPECT_EQ(peering.handle(id("executor-1", 5), newer, start, out), Outcome::stale);
  EXPECT_NE(sent<Refused>(out, id("executor-1", 5)).reason.find("protocol 2"), std::string::npos);
  out = {};
  EXPECT_EQ(peering.handle(id("executor-1", 5), hello("executor-2", 5), start, out),
            Outcome::stale);
  sent<Refused>(out, id("executor-1", 5));
  EXPECT_TRUE(peering.peers().empty());
}

TEST(PeeringBinder, ANewerLifeOfOurselvesMakesUsLeave) {
  Peering peering(hello("admission", 5, ServiceKind::admission));
  Outbox out;
  EXPECT_EQ(peering.handle(id("admission", 4), hello("admission", 4), start, out), Outcome::stale);
  sent<Superseded>(out, id("admission", 4));
  EXPECT_EQ(peering.handle(id("admission", 6), hello("admission", 6), start, out), Outcome::leave);
}

TEST(Peering, BothWaysAtOnceIsOnePeer) {
  Peering peering(hello("scheduler", 1, ServiceKind::scheduler));
  Outbox out;
  peering.dial("monitor", "inproc://m", start, out);
  EXPECT_EQ(peering.handle(id("monitor", 3), hello("monitor", 3, ServiceKind::monitor), start, out),
            Outcome::joined);
  EXPECT_EQ(
      peering.handle(id("monitor", 0), Welcome{protocol_version, id("monitor", 3)}, start, out),
      Outcome::consumed);
  EXPECT_TRUE(peering.find("monitor")->dialled);
  EXPECT_EQ(peering.find("monitor")->kind, ServiceKind::monitor);
  peering.hang_up("monitor", out);
  EXPECT_TRUE(peering.find("monitor")) << "it still talks to us";
}

TEST(Peering, OneThatOnlyAnsweredUsMustStillIntroduceItself) {
  Peering peering(hello("scheduler", 2, ServiceKind::scheduler));  // its second life
  Outbox out;
  peering.dial("monitor", "inproc://m", start, out);
  peering.handle(id("monitor", 0), Welcome{protocol_version, id("monitor", 3)}, start, out);
  out = {};
  EXPECT_EQ(peering.handle(id("monitor", 3), ServiceBeat{}, start, out), Outcome::stale);
  sent<Who>(out, id("monitor", 3));
  EXPECT_EQ(peering.handle(id("monitor", 3), hello("monitor", 3, ServiceKind::monitor), start, out),
            Outcome::joined);
  EXPECT_TRUE(peering.find("monitor")->introduced);
  EXPECT_EQ(peering.handle(id("monitor", 3), ServiceBeat{}, start, out), Outcome::none);
}

TEST(Peering, ForgetsSilentToolsAndGreetsForgottenBindersAgain) {
  Peering peering(hello("monitor", 1, ServiceKind::monitor));
  Outbox out;
  peering.handle(id("tool-1-a", 1), hello("tool-1-a", 1, ServiceKind::tool), start, out);
  peering.handle(id("tool-2-b", 1), hello("tool-2-b", 1, ServiceKind::tool), start, out);
  EXPECT_EQ(peering.next_tick(), start + seconds(60));
  peering.handle(id("tool-2-b", 1), Control{}, start + seconds(30), out);
  peering.tick(start + seconds(60), out);
  EXPECT_FALSE(peering.find("tool-1-a"));
  EXPECT_TRUE(peering.find("tool-2-b"));

  peering.dial("scheduler", "inproc://s", start, out);
  peering.handle(id("scheduler", 0), Welcome{protocol_version, id("scheduler", 9)}, start, out);
  peering.forget("scheduler", start + seconds(61));
  EXPECT_EQ(peering.next_tick(), start + seconds(61));
}

// ── Under keys ─────────────────────────────────────────────────────────────────────────────────
Sender proven(const std::string& name, std::uint64_t incarnation, ServiceKind role) {
  return Sender(id(name, incarnation), role);
}

TEST(PeeringUnderKeys, AHelloMustBeWhatTheKeyProves) {
  Peering peering(hello("admission", 1, ServiceKind::admission));
  Outbox out;
  const Sender forger = proven("executor-1", 5, ServiceKind::node);
  EXPECT_EQ(peering.handle(forger, hello("executor-1", 5), start, out), Outcome::stale);
  EXPECT_NE(sent<Refused>(out, forger).reason.find("key of node"), std::string::npos);
  EXPECT_EQ(out.forgeries.size(), 1u);
  EXPECT_FALSE(peering.find("executor-1"));

  out = {};
  const Sender honest = proven("executor-1", 5, ServiceKind::executor);
  EXPECT_EQ(peering.handle(honest, hello("executor-1", 5), start, out), Outcome::joined);
  EXPECT_EQ(peering.handle(honest, Tokens{}, start, out), Outcome::none);
  EXPECT_TRUE(out.forgeries.empty());
}

TEST(PeeringUnderKeys, NobodySpeaksForAMemberOfAnotherRole) {
  Peering peering(hello("scheduler", 1, ServiceKind::scheduler));
  Outbox out;
  const Sender admission = proven("admission", 5, ServiceKind::admission);
  const auto said = hello("admission", 5, ServiceKind::admission);
  ASSERT_EQ(peering.handle(admission, said, start, out), Outcome::joined);
  out = {};
  const Sender forger = proven("admission", 5, ServiceKind::executor);
  EXPECT_EQ(peering.handle(forger, Goodbye{}, start, out), Outcome::stale);
  EXPECT_TRUE(out.sends.empty()) << "the answer would go to the admission";
  // Not even as a later life of it, which would put the real one out.
  const Sender later = proven("admission", 6, ServiceKind::executor);
  EXPECT_EQ(peering.handle(later, hello("admission", 6), start, out), Outcome::stale);
  sent<Refused>(out, later);
  EXPECT_EQ(out.forgeries.size(), 2u);
  EXPECT_EQ(peering.find("admission")->self, id("admission", 5));
}

TEST(PeeringUnderKeys, ToolsHaveNamesOfTheirOwn) {
  Peering peering(hello("monitor", 1, ServiceKind::monitor));
  Outbox out;
  const auto tool = hello("executor-1", 5, ServiceKind::tool);
  EXPECT_EQ(peering.handle(proven("executor-1", 5, ServiceKind::tool), tool, start, out),
            Outcome::stale);
  const auto executor = hello("tool-1", 5);
  EXPECT_EQ(peering.handle(proven("tool-1", 5, ServiceKind::executor), executor, start, out),
            Outcome::stale);
  const auto right = hello("tool-1", 5, ServiceKind::tool);
  EXPECT_EQ(peering.handle(proven("tool-1", 5, ServiceKind::tool), right, start, out),
            Outcome::joined);
}

}  // namespace
}  // namespace aorta::mesh
