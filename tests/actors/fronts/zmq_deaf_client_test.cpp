// The ZeroMQ front and clients that do not read.
#include "tests/actors/fronts/zmq_fixture.hpp"

namespace aorta::fronts {
namespace {

// A client on a loop that does not run: it never reads.
class DeafClientTest : public ZmqFrontTest {
 protected:
  DeafClientTest() {
    options.send_queue_messages = 2;
    options.retry_ms = 1;
  }
  void begin() {
    open();
    deaf = std::make_unique<ZmqClient>(its_loop, front->endpoints().at(0));
    deaf->ask("generate", question("a"));
    deaf->ask("generate", question("b"));
    until([&] { return port.generated.size() == 2; });
  }
  // Feeds the first stream until `done`; answers how many tokens that took.
  template <class Done>
  std::uint32_t feed(Done done) {
    const auto& asked = port.generated[0];
    const std::string text(64 << 10, 'x');
    std::uint32_t next = 0;
    while (!done()) {
      if (next == 2000) {
        ADD_FAILURE() << "never";
        break;
      }
      front->deliver(asked.connection, admission::Delta{asked.request.id, {next++}, {1}, text});
      loop.io().restart();
      loop.io().poll();
    }
    return next;
  }
  mesh::WireLoop its_loop{{[](const std::string&) {}}};
  std::unique_ptr<ZmqClient> deaf;
};

TEST_F(DeafClientTest, IsHeldAndGoesOnWhereItWas) {
  begin();
  const ConnectionId first = port.generated[0].connection, second = port.generated[1].connection;
  const std::uint32_t tokens = feed([&] { return port.holds[first]; });
  EXPECT_TRUE(port.holds[second]);  // its queue is the same
  // Reads at last.
  for (int turn = 0; port.holds[first] || port.holds[second]; ++turn) {
    ASSERT_LT(turn, 5000) << "never released";
    its_loop.io().restart();
    its_loop.io().poll();
    loop.io().restart();
    loop.io().run_one_for(std::chrono::milliseconds(1));
  }
  front->deliver(first, admission::Done{port.generated[0].request.id, "stop", {}, 1, true});
  run_until(its_loop.io(),
            [&] { return !deaf->replies.empty() && deaf->replies.back().verb == "done"; });
  ASSERT_EQ(deaf->replies.size(), tokens + 1);
  for (std::uint32_t n = 0; n < tokens; ++n) EXPECT_EQ(deaf->replies[n].body["index"], n);
}

TEST_F(DeafClientTest, IsToldInOrder) {
  options.retry_ms = 3'600'000;
  begin();
  const auto& asked = port.generated[0];
  std::uint32_t next = feed([&] { return port.holds[asked.connection]; });
  // There is room again, but what waits comes first.
  run_until(its_loop.io(), [&] { return !deaf->replies.empty(); });
  for (int turn = 0; turn < 100; ++turn) {
    its_loop.io().restart();
    its_loop.io().run_one_for(std::chrono::milliseconds(1));
    front->deliver(asked.connection, admission::Delta{asked.request.id, {next++}, {1}, "x"});
  }
  for (std::uint32_t n = 0; n < deaf->replies.size(); ++n) {
    ASSERT_EQ(deaf->replies[n].body["index"], n);
  }
}

TEST_F(DeafClientTest, CostsBoundedMemory) {
  options.max_unsent_bytes = 1 << 20;
  begin();
  feed([&] { return !port.gone_connections.empty(); });  // an admission that does not listen
  EXPECT_EQ(port.gone_connections.size(), 2u);
  EXPECT_EQ(figure("aorta_zmq_clients"), 0);
}

TEST_F(DeafClientTest, IsGoneWhenItLeaves) {
  begin();
  const auto& asked = port.generated[0];
  std::uint32_t next = feed([&] { return port.holds[asked.connection]; });
  deaf.reset();
  // Its connection may take what waited before it closes: then the next token tells.
  for (int turn = 0; port.gone_connections.size() < 2; ++turn) {
    ASSERT_LT(turn, 5000) << "never missed";
    if (!port.holds[asked.connection]) {
      front->deliver(asked.connection, admission::Delta{asked.request.id, {next++}, {1}, "x"});
    }
    loop.io().restart();
    loop.io().run_one_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(figure("aorta_zmq_clients"), 0);
}

}  // namespace
}  // namespace aorta::fronts
