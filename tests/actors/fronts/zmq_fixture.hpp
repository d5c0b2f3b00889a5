#pragma once
// A ZeroMQ front over loopback, a scripted admission behind it, and clients on the same loop.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>

#include "actors/fronts/zmq_front.hpp"
#include "mesh/client_codec.hpp"
#include "mesh/loop_socket.hpp"
#include "tests/actors/fronts/http_client.hpp"
#include "tests/actors/fronts/scripted_port.hpp"

namespace aorta::fronts {

using nlohmann::json;

struct Reply {
  std::string verb;
  json body;
};

// A DEALER that keeps what it is told. Deaf while its loop does not run.
class ZmqClient {
 public:
  ZmqClient(mesh::WireLoop& loop, const std::string& endpoint, const std::string& name = "")
      : socket_(loop, options(name), [this](std::vector<mesh::Frames>& batch) {
          for (const mesh::Frames& frames : batch) {
            ASSERT_EQ(frames.size(), 3u);
            EXPECT_EQ(frames[0], "AOR1");
            replies.push_back({frames[1], *mesh::decode_client(frames[2])});
          }
        }) {
    EXPECT_TRUE(socket_.connect(endpoint).ok());
  }
  void ask(const std::string& verb, const json& body) {
    raw({"AOR1", verb, mesh::encode_client(body)});
  }
  void raw(std::initializer_list<std::string_view> frames) {
    EXPECT_EQ(socket_.send(frames), mesh::SendResult::sent);
  }
  std::vector<std::string> verbs() const {
    std::vector<std::string> names;
    for (const Reply& reply : replies) names.push_back(reply.verb);
    return names;
  }
  const json& last() const { return replies.back().body; }

  std::vector<Reply> replies;

 private:
  static mesh::LoopSocketOptions options(const std::string& name) {
    mesh::LoopSocketOptions dealer;
    dealer.kind = mesh::LoopSocketOptions::Kind::dealer;
    dealer.routing_id = name;
    dealer.receive_queue_messages = 1;
    return dealer;
  }
  mesh::LoopSocket socket_;
};

inline json question(const std::string& id = "") {
  json body = {{"messages", {{{"role", "user"}, {"content", "Why?"}}}}};
  if (!id.empty()) body["id"] = id;
  return body;
}

class ZmqFrontTest : public ::testing::Test {
 protected:
  ZmqFrontTest() { options.binds = {"tcp://127.0.0.1:0"}; }
  void open() {
    front.emplace(loop, port, options);
    front->start(ConnectionId{500});
  }
  std::unique_ptr<ZmqClient> client() {
    return std::make_unique<ZmqClient>(loop, front->endpoints().at(0));
  }
  template <class Done>
  void until(Done done) {
    run_until(loop.io(), done);
  }
  // Sends signs of life to a stream until its client is found gone.
  void wait_for_gone(ConnectionId connection) {
    for (int turn = 0; port.gone_connections.empty(); ++turn) {
      ASSERT_LT(turn, 2000) << "the client was not missed";
      front->deliver(connection, admission::Waiting{});
      loop.io().restart();
      loop.io().run_one_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(port.gone_connections, std::vector{connection});
  }
  double figure(const std::string& name) const {
    for (const auto& one : front->figures()) {
      if (one.name == name) return one.value;
    }
    return -1;
  }

  mesh::WireLoop loop{{[](const std::string&) {}}};
  ScriptedPort port;
  ZmqOptions options;
  std::optional<ZmqFront> front;
};

}  // namespace aorta::fronts
