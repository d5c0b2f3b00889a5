// Tools and clients against sockets on a loop in another thread.
#include "mesh/client_socket.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "mesh/client_codec.hpp"
#include "mesh/codec.hpp"
#include "mesh/peering.hpp"
#include "mesh/wire.hpp"
#include "tests/mesh/temp_dir.hpp"

namespace aorta::mesh {
namespace {

using std::chrono::seconds;

// A monitor in a thread: peering, and an echo of every control.
class MonitorThread {
 public:
  explicit MonitorThread(std::string endpoint) : endpoint_(std::move(endpoint)) {
    Result<std::string> bound = wire_.bind(endpoint_);
    EXPECT_TRUE(bound.ok());
    endpoint_ = *bound;
    thread_ = std::thread([this] {
      while (!stop_) loop_.io().run_one();
    });
  }
  ~MonitorThread() {
    boost::asio::io_context& io = loop_.io();
    stop_ = true;
    io.stop();
    thread_.join();
  }
  const std::string& endpoint() const { return endpoint_; }

 private:
  void on_batch(const std::vector<Wire::Incoming>& batch) {
    Outbox out;
    for (const auto& [from, message] : batch) {
      if (peering_.handle(from, message, now(), out) != Peering::Outcome::none) continue;
      const auto& control = std::get<Control>(message);
      out.send(from, ControlReply{control.token + 1, 1, "another's"});
      out.send(from, ControlReply{control.token, 7, control.verb + " " + control.argument});
    }
    for (const auto& [to, message] : out.sends) wire_.send(to, message);
  }

  WireLoop loop_;
  Peering peering_{Hello{.kind = ServiceKind::monitor, .self = {"monitor", Incarnation{1}}}};
  Wire wire_{loop_, {"monitor", Incarnation{1}}, {}, [this](auto batch) { on_batch(batch); }};
  std::string endpoint_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

TEST(ClientSocket, AToolCallsTheMonitor) {
  TempDir dir;
  for (const std::string& endpoint : {dir.ipc("m.sock"), std::string("tcp://127.0.0.1:0")}) {
    MonitorThread monitor(endpoint);
    for (int call = 0; call < 3; ++call) {
      auto reply = call_control({monitor.endpoint(), "scale", "4", seconds(20)});
      ASSERT_TRUE(reply.ok()) << reply.error().message;
      EXPECT_EQ(reply->exit_code, 7);
      EXPECT_EQ(reply->text, "scale 4");
    }
  }
}

TEST(ClientSocket, SaysThatNothingRuns) {
  TempDir dir;
  auto missing = call_control({dir.ipc("m.sock"), "ps", "", seconds(20)});
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("aorta up"), std::string::npos);
  auto silent = call_control({"tcp://127.0.0.1:1", "ps", "", std::chrono::milliseconds(1)});
  ASSERT_FALSE(silent.ok());
  EXPECT_EQ(silent.error().code, ErrorCode::unavailable);
}

TEST(ClientSocket, AClientSpeaksToAFront) {
  TempDir dir;
  WireLoop loop;
  LoopSocket* front = nullptr;
  LoopSocket router(loop, {.handover = false}, [&](std::vector<Frames>& batch) {
    for (const Frames& frames : batch) {
      ASSERT_EQ(frames.size(), 4u);
      EXPECT_EQ(frames[2], "generate");
      auto body = decode_client(frames[3]);
      ASSERT_TRUE(body.ok());
      front->send({frames[0], frame_magic, "tokens",
                   encode_client({{"text", (*body)["prompt"]}, {"index", 0}})});
    }
  });
  front = &router;
  ASSERT_TRUE(router.bind(dir.ipc("c.sock")).ok());
  auto client = ClientSocket::connect(dir.ipc("c.sock"));
  ASSERT_TRUE(client.ok());
  const TimePoint deadline = now() + seconds(20);
  ASSERT_TRUE(client->send("generate", {{"prompt", "héllo"}}, deadline).ok());
  while (router.counts().sent == 0) loop.io().run_one();
  auto answer = client->receive_client(deadline);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->verb, "tokens");
  EXPECT_EQ((*decode_client(answer->body))["text"], "héllo");
}

}  // namespace
}  // namespace aorta::mesh
