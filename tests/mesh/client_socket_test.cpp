// Tools against sockets on a loop in another thread.
#include "mesh/client_socket.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <thread>

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

}  // namespace
}  // namespace aorta::mesh
