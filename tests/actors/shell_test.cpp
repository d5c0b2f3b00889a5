// Cores on real sockets, all on one loop. Nothing here waits for time but the cores' own ticks.
#include "actors/shell.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <stdexcept>
#include <thread>

#include "mesh/peering.hpp"
#include "tests/mesh/temp_dir.hpp"

namespace aorta::actors {
namespace {

using mesh::Outbox;
using mesh::PeerId;

mesh::Hello hello(const std::string& name, std::uint64_t incarnation = 1) {
  return {.kind = mesh::ServiceKind::executor, .self = {name, Incarnation{incarnation}}};
}

// Does nothing but peering; leaves with 0 when drained.
class TestCore : public mesh::Service {
 public:
  explicit TestCore(mesh::Hello self) : peering(std::move(self)) {}
  const mesh::Hello& self() const override { return peering.self(); }
  void start(TimePoint now, Outbox& out) override {
    if (!dials.empty()) peering.dial("binder", dials, now, out);
  }
  void receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
               Outbox& out) override {
    const auto outcome = peering.handle(from, message, now, out);
    if (outcome == mesh::Peering::Outcome::joined) joined(from, out);
    if (outcome == mesh::Peering::Outcome::none) hear(from, message, out);
  }
  void unreachable(const PeerId& peer, TimePoint, Outbox& out) override {
    lost.push_back(peer);
    out.send(peer, mesh::Who{});  // in vain again: told once a turn all the same
  }
  void drain(TimePoint, Outbox& out) override { out.leave = Outbox::Leave{0, "drained"}; }
  void tick(TimePoint now, Outbox& out) override { peering.tick(now, out); }
  TimePoint next_tick() const override { return peering.next_tick(); }

  virtual void joined(const PeerId&, Outbox&) {}
  virtual void hear(const PeerId&, const mesh::Message&, Outbox&) {}

  mesh::Peering peering;
  std::string dials;  // the binder's endpoint
  std::vector<PeerId> lost;
};

// Answers requests; leaves when told to drain.
class Binder : public TestCore {
 public:
  Binder() : TestCore(hello("binder")) {}
  void hear(const PeerId& from, const mesh::Message& message, Outbox& out) override {
    if (auto* request = std::get_if<mesh::AuditRequest>(&message)) {
      out.send(from, mesh::AuditReply{request->token, "{}"});
    }
    if (std::holds_alternative<mesh::Drain>(message)) out.leave = Outbox::Leave{0, "told to"};
  }
};

// Asks `count` times, one at a time, then tells the binder to leave, and leaves.
class Asker : public TestCore {
 public:
  Asker(const std::string& endpoint, int count) : TestCore(hello("asker")), count_(count) {
    dials = endpoint;
  }
  void joined(const PeerId& from, Outbox& out) override { out.send(from, mesh::AuditRequest{0}); }
  void hear(const PeerId& from, const mesh::Message& message, Outbox& out) override {
    const auto& reply = std::get<mesh::AuditReply>(message);
    EXPECT_EQ(reply.token, static_cast<std::uint64_t>(answered));
    if (++answered < count_) {
      out.send(from, mesh::AuditRequest{static_cast<std::uint64_t>(answered)});
      return;
    }
    out.send(from, mesh::Drain{});
    out.leave = Outbox::Leave{0, "all answered"};
  }
  int answered = 0;

 private:
  int count_;
};

template <class Core>
Core& core_of(Shell& shell) {
  return dynamic_cast<Core&>(shell.core());
}

class ShellsOver : public ::testing::TestWithParam<std::string> {};

TEST_P(ShellsOver, TwoCoresTalkAndLeave) {
  TempDir dir;
  const std::string endpoint = GetParam() == "ipc"   ? dir.ipc("b.sock")
                               : GetParam() == "tcp" ? "tcp://127.0.0.1:0"
                                                     : "inproc://aorta/b";
  Host host({});
  Shell binder(host, std::make_unique<Binder>(), {endpoint});
  Shell asker(host, std::make_unique<Asker>(binder.bound().at(0), 200), {});
  asker.begin();
  binder.begin();
  EXPECT_EQ(host.run(), 0);
  EXPECT_EQ(core_of<Asker>(asker).answered, 200);
  EXPECT_GE(binder.wire_counts().sent, 201u);
  EXPECT_EQ(binder.wire_counts().garbage, 0u);
}

INSTANTIATE_TEST_SUITE_P(Schemes, ShellsOver, ::testing::Values("ipc", "tcp", "inproc"),
                         [](const auto& info) { return info.param; });

TEST(Shell, TheOlderOfTwoLivesLeavesWith78AndTakesTheRestAlong) {
  Host host({});
  Shell binder(host, std::make_unique<Binder>(), {"inproc://aorta/b"});
  auto life = [&](std::uint64_t incarnation) {
    auto core = std::make_unique<TestCore>(hello("executor-1", incarnation));
    core->dials = "inproc://aorta/b";
    return core;
  };
  Shell old_life(host, life(1), {}), new_life(host, life(2), {});
  for (Shell* shell : {&binder, &old_life, &new_life}) shell->begin();
  EXPECT_EQ(host.run(), mesh::exit_superseded);
}

class Ticker : public TestCore {
 public:
  Ticker() : TestCore(hello("ticker")) {}
  void start(TimePoint now, Outbox&) override { next_ = now; }
  void tick(TimePoint now, Outbox& out) override {
    EXPECT_GE(now, next_);
    next_ = now + std::chrono::milliseconds(1);
    if (++ticks == 5) out.leave = Outbox::Leave{0, "ticked"};
  }
  TimePoint next_tick() const override { return next_; }
  int ticks = 0;

 private:
  TimePoint next_ = never;
};

TEST(Shell, TicksWhenTheCoreAsksAndNotEarlier) {
  Host host({});
  Shell shell(host, std::make_unique<Ticker>(), {});
  shell.begin();
  EXPECT_EQ(host.run(), 0);
  EXPECT_EQ(core_of<Ticker>(shell).ticks, 5);
}

class Observed : public Shell {
 public:
  using Shell::Shell;
  int turns = 0;
  std::vector<int> codes;
  void after_turn(TimePoint) override {
    ++turns;
    EXPECT_TRUE(codes.empty()) << "no turn follows the leave";
  }
  void leave(const Outbox::Leave& leave) override {
    codes.push_back(leave.exit_code);
    Shell::leave(leave);
  }
};

TEST(Shell, TurnsPostedByOtherThreadsRunOnTheLoopInOrder) {
  Host host({});
  Observed shell(host, std::make_unique<TestCore>(hello("x")), {});
  shell.begin();
  const auto loop_thread = std::this_thread::get_id();
  std::vector<int> order;
  std::thread other([&] {
    for (int n = 0; n < 100; ++n) {
      shell.post([&, n](TimePoint, Outbox& out) {
        EXPECT_EQ(std::this_thread::get_id(), loop_thread);
        order.push_back(n);
        if (n == 98) out.leave = Outbox::Leave{3, "enough"};
      });
    }
  });
  EXPECT_EQ(host.run(), 3);
  other.join();
  ASSERT_EQ(order.size(), 99u) << "a service that has left takes no turn";
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(shell.codes, std::vector<int>{3});
  EXPECT_EQ(shell.turns, 100);  // the start, and those
}

// As an admission does, whose front finds its client gone while it is told something.
class Nesting : public Shell {
 public:
  using Shell::Shell;
  std::function<void()> next;
  int leaves = 0;
  void after_turn(TimePoint) override {
    if (auto call = std::exchange(next, {})) call();
  }
  void leave(const Outbox::Leave& leave) override {
    ++leaves;
    Shell::leave(leave);
  }
};

TEST(Shell, LeavesOnceWhenTurnsNest) {
  const Shell::Turn leaving = [](TimePoint, Outbox& out) { out.leave = Outbox::Leave{4, "end"}; };
  for (const bool outer_leaves : {true, false}) {
    Host host({});
    Nesting shell(host, std::make_unique<TestCore>(hello("x")), {});
    shell.begin();
    shell.next = [&] { shell.run_turn(leaving); };
    shell.run_turn(outer_leaves ? leaving : [](TimePoint, Outbox&) {});
    EXPECT_EQ(shell.leaves, 1);
  }
}

TEST(Shell, AnUnreachablePeerIsToldOnceATurn) {
  Host host({});
  Shell shell(host, std::make_unique<TestCore>(hello("x")), {"inproc://aorta/x"});
  shell.begin();
  const PeerId nobody{"nobody", Incarnation{7}};
  shell.run_turn([&](TimePoint, Outbox& out) {
    out.send(nobody, mesh::Who{});
    out.send(nobody, mesh::Who{});
  });
  EXPECT_EQ(core_of<TestCore>(shell).lost, std::vector<PeerId>{nobody});
  shell.run_turn([&](TimePoint, Outbox& out) { out.send(nobody, mesh::Who{}); });
  EXPECT_EQ(core_of<TestCore>(shell).lost.size(), 2u);
}

TEST(Shell, AnExceptionInATurnEndsTheProcessWith70) {
  for (const bool posted : {true, false}) {
    Host host({});
    Shell shell(host, std::make_unique<TestCore>(hello("x")), {});
    Shell other(host, std::make_unique<TestCore>(hello("y")), {});
    shell.begin();
    const Shell::Turn broken = [](TimePoint, Outbox&) { throw std::runtime_error("broken"); };
    if (posted) shell.post(broken);
    // As a front does: from a handler of its own on the loop.
    mesh::WireLoop& loop = host.loop();
    mesh::LoopSocket router(loop, {}, [&](auto&) { shell.run_turn(broken); });
    mesh::LoopSocket dealer(loop, {.kind = mesh::LoopSocketOptions::Kind::dealer}, [](auto&) {});
    ASSERT_TRUE(router.bind("inproc://aorta/r").ok());
    ASSERT_TRUE(dealer.connect("inproc://aorta/r").ok());
    if (!posted) dealer.send({"x"});
    EXPECT_EQ(host.run(), exit_bug);
  }
}

TEST(Shell, SaysWhyItCannotBind) {
  Host host({});
  Shell first(host, std::make_unique<TestCore>(hello("x")), {"inproc://aorta/x"});
  try {
    Shell second(host, std::make_unique<TestCore>(hello("y")), {"inproc://aorta/x"});
    FAIL() << "bound twice";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("in use"), std::string::npos);
  }
}

TEST(Shell, MayGoWhileMessagesAndTurnsAreOnTheirWay) {
  Host host({});
  auto binder = std::make_unique<Shell>(host, std::make_unique<Binder>(),
                                        std::vector<std::string>{"inproc://aorta/b"});
  Shell asker(host, std::make_unique<Asker>("inproc://aorta/b", 1000000), {});
  binder->begin();
  asker.begin();
  binder->post([](TimePoint, Outbox&) { FAIL() << "of a shell that is gone"; });
  binder.reset();
  int later = 0;
  asker.post([&](TimePoint, Outbox&) { ++later; });
  asker.post([&](TimePoint, Outbox&) { host.stop(5); });
  EXPECT_EQ(host.run(), 5);
  EXPECT_EQ(later, 1);
}

TEST(Host, SigtermDrainsEveryShell) {
  Host host({});
  int hups = 0;
  host.handle_signals([&] {
    ++hups;
    std::raise(SIGTERM);
  });
  Shell one(host, std::make_unique<TestCore>(hello("x")), {});
  Shell two(host, std::make_unique<TestCore>(hello("y")), {});
  one.begin();
  two.begin();
  std::raise(SIGHUP);
  EXPECT_EQ(host.run(), 0);
  EXPECT_EQ(hups, 1);
}

class Stubborn : public TestCore {
 public:
  Stubborn() : TestCore(hello("x")) {}
  void drain(TimePoint, Outbox&) override { std::raise(SIGINT); }  // the second, and never leaves
};

TEST(HostDeathTest, ASecondSigintLeavesAtOnce) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        Host host({});
        host.handle_signals({});
        Shell shell(host, std::make_unique<Stubborn>(), {});
        shell.begin();
        std::raise(SIGINT);
        host.run();
      },
      ::testing::ExitedWithCode(exit_interrupted), "");
}

}  // namespace
}  // namespace aorta::actors
