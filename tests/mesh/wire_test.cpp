// Real sockets on one loop: who reaches whom, what is dropped, what a second service is told.
#include "mesh/wire.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <optional>

#include "base/clock.hpp"
#include "mesh/codec.hpp"
#include "tests/mesh/temp_dir.hpp"

namespace aorta::mesh {
namespace {

// Runs the loop until `done`: each turn waits for something to happen, never for time.
template <class Done>
void run_until(WireLoop& loop, Done done) {
  while (!done()) loop.io().run_one();
}

// A service that keeps what it hears.
struct Station {
  Station(WireLoop& loop, PeerId self, WireOptions options = {})
      : wire(loop, std::move(self), options, [this](std::vector<Wire::Incoming> batch) {
          largest_batch = std::max(largest_batch, batch.size());
          for (auto& incoming : batch) heard.push_back(std::move(incoming));
        }) {}
  std::vector<Wire::Incoming> heard;
  std::size_t largest_batch = 0;
  Wire wire;
};

PeerId id(const std::string& name, std::uint64_t incarnation) {
  return {name, Incarnation{incarnation}};
}

class WireOver : public ::testing::TestWithParam<std::string> {
 protected:
  TempDir dir;
  std::string endpoint() const {
    if (GetParam() == "ipc") return dir.ipc("binder.sock");
    return GetParam() == "tcp" ? "tcp://127.0.0.1:0" : "inproc://aorta/binder";
  }
};

TEST_P(WireOver, MessagesGoBothWays) {
  WireLoop loop;
  Station binder(loop, id("scheduler", 1)), dialler(loop, id("executor-1", 7));
  auto bound = binder.wire.bind(endpoint());
  ASSERT_TRUE(bound.ok()) << bound.error().message;
  ASSERT_TRUE(dialler.wire.dial("scheduler", *bound).ok());
  EXPECT_EQ(dialler.wire.send(id("scheduler", 0), Control{1, "ps", ""}), SendResult::sent);
  run_until(loop, [&] { return !binder.heard.empty(); });
  EXPECT_EQ(binder.heard[0].from, id("executor-1", 7));
  EXPECT_EQ(std::get<Control>(binder.heard[0].message).verb, "ps");

  EXPECT_EQ(binder.wire.send(id("executor-1", 7), ControlReply{1, 0, "[]"}), SendResult::sent);
  run_until(loop, [&] { return !dialler.heard.empty(); });
  EXPECT_EQ(dialler.heard[0].from, id("scheduler", 0));
  // The binder's real incarnation, which Welcome told, reaches it too.
  EXPECT_EQ(dialler.wire.send(id("scheduler", 1), Who{}), SendResult::sent);
  run_until(loop, [&] { return binder.heard.size() == 2; });
}

TEST_P(WireOver, ManyMessagesComeInOrderInBoundedBatches) {
  WireLoop loop;
  Station binder(loop, id("scheduler", 1)), dialler(loop, id("executor-1", 7));
  auto bound = binder.wire.bind(endpoint());
  ASSERT_TRUE(bound.ok()) << bound.error().message;
  ASSERT_TRUE(dialler.wire.dial("scheduler", *bound).ok());
  constexpr std::uint64_t count = 3000;
  for (std::uint64_t n = 0; n < count; ++n) {
    ASSERT_EQ(dialler.wire.send(id("scheduler", 0), AuditRequest{n}), SendResult::sent);
  }
  run_until(loop, [&] { return binder.heard.size() == count; });
  for (std::uint64_t n = 0; n < count; ++n) {
    ASSERT_EQ(std::get<AuditRequest>(binder.heard[n].message).token, n);
  }
  EXPECT_LE(binder.largest_batch, 256u);
  EXPECT_EQ(binder.wire.counts().received, count);
}

INSTANTIATE_TEST_SUITE_P(Schemes, WireOver, ::testing::Values("ipc", "tcp", "inproc"),
                         [](const auto& info) { return info.param; });

TEST(Wire, DialsBeforeTheBinderIsThereAndAfterItCameBack) {
  TempDir dir;
  WireLoop loop;
  Station dialler(loop, id("executor-1", 7));
  ASSERT_TRUE(dialler.wire.dial("scheduler", dir.ipc("s.sock")).ok());
  EXPECT_EQ(dialler.wire.send(id("scheduler", 0), AuditRequest{1}), SendResult::sent);
  for (std::uint64_t life = 1; life <= 2; ++life) {
    Station binder(loop, id("scheduler", life));
    auto bound = binder.wire.bind(dir.ipc("s.sock"));
    ASSERT_TRUE(bound.ok()) << bound.error().message;
    while (binder.heard.empty()) {
      dialler.wire.send(id("scheduler", 0), AuditRequest{life});
      loop.io().run_one_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(binder.heard[0].from, id("executor-1", 7));
  }
}

TEST(Wire, ANewLifeOfADiallerIsAnotherPeer) {
  TempDir dir;
  WireLoop loop;
  Station binder(loop, id("scheduler", 1));
  ASSERT_TRUE(binder.wire.bind(dir.ipc("s.sock")).ok());
  Station old_life(loop, id("executor-1", 7)), new_life(loop, id("executor-1", 8));
  for (Station* life : {&old_life, &new_life}) {
    ASSERT_TRUE(life->wire.dial("scheduler", dir.ipc("s.sock")).ok());
    life->wire.send(id("scheduler", 0), Who{});
  }
  run_until(loop, [&] { return binder.heard.size() == 2; });
  EXPECT_EQ(binder.wire.send(id("executor-1", 7), Superseded{id("executor-1", 8)}),
            SendResult::sent);
  run_until(loop, [&] { return !old_life.heard.empty(); });
  EXPECT_TRUE(new_life.heard.empty());
}

TEST(Wire, UnknownPeersAreUnreachableAndCounted) {
  WireLoop loop;
  Station binder(loop, id("scheduler", 1));
  EXPECT_EQ(binder.wire.send(id("nobody", 0), Who{}), SendResult::unreachable);
  ASSERT_TRUE(binder.wire.bind("inproc://aorta/s").ok());
  EXPECT_EQ(binder.wire.send(id("nobody", 4), Who{}), SendResult::unreachable);
  EXPECT_EQ(binder.wire.counts().unreachable, 2u);
}

TEST(Wire, APeerThatDoesNotReadFillsItsQueue) {
  WireLoop loop;
  Station dialler(loop, id("executor-1", 7), {.send_queue_messages = 10});
  ASSERT_TRUE(dialler.wire.dial("scheduler", "tcp://127.0.0.1:1").ok());  // nobody listens
  int sent = 0;
  while (dialler.wire.send(id("scheduler", 0), Who{}) == SendResult::sent) ++sent;
  EXPECT_EQ(sent, 10);
  EXPECT_EQ(dialler.wire.counts().full, 1u);
}

TEST(Wire, AMessageThatIsTooLargeIsNotSent) {
  std::vector<std::string> troubles;
  WireLoop loop({.on_trouble = [&](const std::string& sentence) { troubles.push_back(sentence); }});
  Station dialler(loop, id("executor-1", 7), {.max_message_bytes = 1000});
  ASSERT_TRUE(dialler.wire.dial("scheduler", "inproc://aorta/s").ok());
  EXPECT_NE(dialler.wire.send(id("scheduler", 0), AuditReply{1, std::string(2000, 'x')}),
            SendResult::sent);
  EXPECT_EQ(dialler.wire.counts().too_large, 1u);
  ASSERT_EQ(troubles.size(), 1u);
  EXPECT_NE(troubles[0].find("scheduler"), std::string::npos);
}

TEST(Wire, GarbageIsCountedNamedAndDropped) {
  std::vector<std::string> troubles;
  WireLoop loop({.on_trouble = [&](const std::string& sentence) { troubles.push_back(sentence); }});
  Station binder(loop, id("scheduler", 1));
  ASSERT_TRUE(binder.wire.bind("inproc://aorta/s").ok());
  auto raw = [&](const std::string& routing_id) {
    auto socket = std::make_unique<LoopSocket>(
        loop, LoopSocketOptions{.kind = LoopSocketOptions::Kind::dealer, .routing_id = routing_id},
        [](auto&) {});
    EXPECT_TRUE(socket->connect("inproc://aorta/s").ok());
    return socket;
  };
  auto known = raw("executor-1#7"), stranger = raw("\x01 drop table"), zero = raw("x#0");
  const std::string type = encode_type(Who{}), body = encode_body(Who{});
  known->send({"AOR2", type, body});
  known->send({frame_magic, type});
  known->send({frame_magic, "\x7f\x7f", body});
  known->send({frame_magic, type, "\xc1"});
  known->send({frame_magic, "5", body});
  known->send({""});
  known->send({"", "", "", "", "", "", "", "", ""});  // with the routing id: more than 8 frames
  stranger->send({frame_magic, type, body});
  zero->send({frame_magic, type, body});
  known->send({frame_magic, type, body});
  run_until(loop, [&] { return binder.heard.size() == 1 && binder.wire.counts().garbage == 8; });
  EXPECT_EQ(binder.heard[0].from, id("executor-1", 7));
  ASSERT_EQ(troubles.size(), 5u) << "the rest are withheld";
  EXPECT_NE(troubles[0].find("executor-1#7"), std::string::npos);
}

TEST(Wire, SaysWhatIsWrongWithAnEndpoint) {
  TempDir dir;
  WireLoop loop;
  Station first(loop, id("scheduler", 1)), second(loop, id("scheduler", 2));
  for (const std::string& endpoint :
       {dir.ipc("s.sock"), std::string("tcp://127.0.0.1:0"), std::string("inproc://aorta/s")}) {
    auto bound = first.wire.bind(endpoint);
    ASSERT_TRUE(bound.ok()) << bound.error().message;
    auto again = second.wire.bind(*bound);
    ASSERT_FALSE(again.ok());
    EXPECT_EQ(again.error().code, ErrorCode::conflict);
    EXPECT_NE(again.error().message.find(*bound + " is in use"), std::string::npos)
        << again.error().message;
  }
  EXPECT_FALSE(first.wire.bind("tcp://203.0.113.7:0").ok()) << "no address of this machine";
  EXPECT_FALSE(first.wire.bind("ipc://" + std::string(200, 'x')).ok());
  EXPECT_FALSE(first.wire.dial("x", "udp://1.2.3.4:5").ok());
}

// zmq_send() may take the signal of a message that has just arrived: nothing wakes the loop then,
// unless EVENTS is read after the send.
TEST(LoopSocket, HearsWhatArrivedBeforeASend) {
  WireLoop loop;
  Station binder(loop, id("scheduler", 1)), dialler(loop, id("executor-1", 7));
  ASSERT_TRUE(binder.wire.bind("inproc://aorta/s").ok());
  ASSERT_TRUE(dialler.wire.dial("scheduler", "inproc://aorta/s").ok());
  dialler.wire.send(id("scheduler", 0), Who{});
  run_until(loop, [&] { return !binder.heard.empty(); });
  loop.io().poll();
  ASSERT_EQ(binder.wire.send(id("executor-1", 7), Who{}), SendResult::sent);
  // libzmq looks at its commands during a send only when it has not for 3 million clock ticks.
  for (const TimePoint begin = now(); now() - begin < std::chrono::milliseconds(5);) {
  }
  dialler.wire.send(id("scheduler", 0), Who{});
  for (int turn = 0; turn < 10 && dialler.heard.empty(); ++turn) loop.io().poll();
  EXPECT_EQ(dialler.heard.size(), 1u);
}

TEST(LoopSocket, MayBeDestroyedByItsOwnHandler) {
  WireLoop loop;
  Station binder(loop, id("scheduler", 1));
  ASSERT_TRUE(binder.wire.bind("inproc://aorta/s").ok());
  std::unique_ptr<LoopSocket> socket;
  bool called = false;
  socket = std::make_unique<LoopSocket>(
      loop, LoopSocketOptions{.kind = LoopSocketOptions::Kind::dealer, .routing_id = "x#1"},
      [&](auto&) {
        called = true;
        socket.reset();
      });
  ASSERT_TRUE(socket->connect("inproc://aorta/s").ok());
  socket->send({frame_magic, encode_type(Who{}), encode_body(Who{})});
  run_until(loop, [&] { return !binder.heard.empty(); });
  binder.wire.send(id("x", 1), Who{});
  run_until(loop, [&] { return called; });
  EXPECT_FALSE(socket);
}

}  // namespace
}  // namespace aorta::mesh
