// The HTTP front against clients that are slow, greedy, gone or broken.
#include <gtest/gtest.h>

#include "actors/fronts/http_front.hpp"
#include "tests/actors/fronts/http_client.hpp"
#include "tests/actors/fronts/scripted_port.hpp"

namespace aorta::fronts {
namespace {

const std::string chat = "/v1/chat/completions";
const std::string streamed = R"({"messages":[{"role":"user","content":"Why?"}],"stream":true})";

class HttpLimitsTest : public ::testing::Test {
 protected:
  HttpLimitsTest() { options.port = 0; }
  void open() {
    front.emplace(io, port, options);
    front->start(ConnectionId{1});
  }
  HttpClient client(int receive_buffer = 0) {
    return HttpClient(io, front->port(), receive_buffer);
  }
  // A client whose stream has begun.
  RequestId begin(HttpClient& one, ConnectionId& connection) {
    const std::size_t before = port.generated.size();
    one.send_only(post(chat, streamed));
    run_until(io, [&] { return port.generated.size() > before; });
    const auto& asked = port.generated.back();
    connection = asked.connection;
    front->deliver(connection, admission::Accepted{asked.request.id, "smollm2", 7});
    return asked.request.id;
  }
  void expect_refused(const std::string& bytes, const std::string& status) {
    HttpClient one = client();
    one.send(bytes);
    run_until(io, [&] { return one.ended; });
    EXPECT_TRUE(one.has("HTTP/1.1 " + status)) << one.received;
    EXPECT_TRUE(one.has("Connection: close\r\n"));
    EXPECT_TRUE(one.has("{\"error\":{\"message\":"));
  }

  boost::asio::io_context io;
  ScriptedPort port;
  HttpOptions options;
  std::optional<HttpFront> front;
};

TEST_F(HttpLimitsTest, WhatIsTooLargeIsRefused) {
  open();
  expect_refused(get("/health", "X: " + std::string(17 << 10, 'x') + "\r\n"), "431");
  expect_refused("GET /" + std::string(17 << 10, 'x'), "431");
  // By its length alone, before the body is sent.
  expect_refused("POST " + chat + " HTTP/1.1\r\nHost: x\r\nContent-Length: 4194305\r\n\r\n", "413");
  expect_refused(
      "POST " + chat + " HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
      "400");
  options.max_body_bytes = 10;
  open();
  expect_refused("POST " + chat +
                     " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "b\r\n01234567890\r\n0\r\n\r\n",
                 "413");
  EXPECT_TRUE(port.generated.empty());
}

TEST_F(HttpLimitsTest, WhatIsNotHttpIsRefused) {
  open();
  expect_refused("nonsense\r\n\r\n", "400");
  expect_refused("GET / HTTP/1.1\r\n\r\n", "400");  // no Host
  expect_refused("GET / HTTP/3.0\r\nHost: x\r\n\r\n", "505");
  expect_refused(std::string("\x16\x03\x01\x02\x00\x01", 6) + "\r\n\r\n", "400");  // TLS
}

TEST_F(HttpLimitsTest, ASlowHeaderOrBodyIsTimedOut) {
  options.header_timeout_ms = options.body_timeout_ms = 1;
  open();
  expect_refused("GET /hea", "408");
  expect_refused("POST " + chat + " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{", "408");
  HttpClient silent = client();
  silent.read();
  run_until(io, [&] { return silent.ended; });
  EXPECT_EQ(silent.received, "");
}

TEST_F(HttpLimitsTest, AnIdleConnectionIsClosed) {
  options.idle_timeout_ms = 1;
  open();
  HttpClient one = client();
  one.send(get("/health"));
  run_until(io, [&] { return one.ended; });
  EXPECT_TRUE(one.has("200 OK"));
}

TEST_F(HttpLimitsTest, ABodyIsAskedFor) {
  open();
  HttpClient one = client();
  one.send("POST " + chat + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: " +
           std::to_string(streamed.size()) + "\r\n\r\n");
  run_until(io, [&] { return one.has("HTTP/1.1 100 Continue\r\n\r\n"); });
  one.send(streamed);
  run_until(io, [&] { return !port.generated.empty(); });
}

TEST_F(HttpLimitsTest, OneClientTooManyIsTold) {
  options.max_connections = 2;
  open();
  HttpClient first = client(), second = client(), third = client();
  first.send(get("/health"));
  second.send(get("/health"));
  run_until(io, [&] { return first.has("ok") && second.has("ok"); });
  third.send(get("/health"));
  run_until(io, [&] { return third.ended; });
  EXPECT_TRUE(third.has("503 Service Unavailable"));
  EXPECT_TRUE(third.has("Retry-After: 1\r\n"));
  third.finish();
  second.finish();
  run_until(io, [&] { return front->figures()[0].value == 1; });
  HttpClient fourth = client();  // there is room again
  fourth.send(get("/health"));
  run_until(io, [&] { return fourth.has("ok"); });
}

TEST_F(HttpLimitsTest, AllBodiesTogetherAreBounded) {
  options.max_bodies_bytes = 1000;
  open();
  const std::string head = "POST " + chat + " HTTP/1.1\r\nHost: x\r\nContent-Length: 600\r\n\r\n";
  HttpClient first = client(), second = client();
  first.send(head + "Expect nothing yet");
  run_until(io, [&] { return front->figures()[0].value == 2; });
  io.poll();
  second.send(head);
  run_until(io, [&] { return second.ended; });
  EXPECT_TRUE(second.has("503")) << second.received;
  first.send(std::string(600, ' '));
  run_until(io, [&] { return first.has("invalid_json"); });
  HttpClient third = client();
  third.send(head + std::string(600, ' '));
  run_until(io, [&] { return third.has("invalid_json"); });
}

TEST_F(HttpLimitsTest, AClientThatLeavesIsGone) {
  open();
  for (const bool abruptly : {false, true}) {
    ConnectionId connection;
    HttpClient one = client();
    begin(one, connection);
    abruptly ? one.reset() : one.finish();
    run_until(io, [&] { return !port.gone_connections.empty(); });
    EXPECT_EQ(port.gone_connections, std::vector{connection});
    port.gone_connections.clear();
    EXPECT_EQ(front->figures()[0].value, 0);
    front->deliver(connection, admission::Waiting{});  // too late: nobody is there
  }
}

TEST_F(HttpLimitsTest, AClientThatLeavesBeforeAWholeAnswerIsGone) {
  open();
  HttpClient one = client();
  one.send_only(post(chat, R"({"messages":[{"role":"user","content":"x"}]})"));
  run_until(io, [&] { return !port.generated.empty(); });
  one.finish();
  run_until(io, [&] { return !port.gone_connections.empty(); });
}

TEST_F(HttpLimitsTest, ASlowReaderIsHeldAndGoesOn) {
  open();
  HttpClient one = client(4096);
  ConnectionId connection;
  const RequestId id = begin(one, connection);
  std::uint32_t next = 0;
  const std::string text(4000, 'x');
  while (!port.holds[connection]) {
    ASSERT_LT(next, 10000u) << "never held";
    front->deliver(connection, admission::Delta{id, {next++}, {1}, text});
    io.restart();
    io.poll();
  }
  one.read();
  run_until(io, [&] { return !port.holds[connection]; });
  EXPECT_EQ(port.hold_calls, 2u);
  front->deliver(connection, admission::Done{id, "stop", {}, 1, true});
  run_until(io, [&] { return one.has("data: [DONE]"); });
  EXPECT_EQ(one.count(text), next);
}

TEST_F(HttpLimitsTest, ADeafClientCostsBoundedMemory) {
  options.max_unsent_bytes = 1 << 20;
  open();
  HttpClient one = client(4096);
  ConnectionId connection;
  const RequestId id = begin(one, connection);
  const std::string text(64 << 10, 'x');
  // An admission that does not listen to hold().
  for (std::uint32_t n = 0; port.gone_connections.empty(); ++n) {
    ASSERT_LT(n, 1000u) << "never closed";
    front->deliver(connection, admission::Delta{id, {n}, {1}, text});
    io.restart();
    io.poll();
  }
  EXPECT_EQ(port.gone_connections, std::vector{connection});
}

TEST_F(HttpLimitsTest, AClientThatTakesNothingIsGone) {
  options.write_timeout_ms = 1;
  open();
  HttpClient one = client(4096);
  ConnectionId connection;
  const RequestId id = begin(one, connection);
  front->deliver(connection, admission::Delta{id, {0}, {1}, std::string(7 << 20, 'x')});
  run_until(io, [&] { return !port.gone_connections.empty(); });
}

TEST_F(HttpLimitsTest, DrainingEndsWhatIsOpen) {
  open();
  HttpClient idle = client(), busy = client();
  idle.send(get("/health"));
  run_until(io, [&] { return idle.has("ok"); });
  ConnectionId connection;
  const RequestId id = begin(busy, connection);
  busy.read();
  bool empty = false;
  front->drain([&] { empty = true; });
  EXPECT_THROW(client(), boost::system::system_error);
  run_until(io, [&] { return idle.ended; });
  EXPECT_FALSE(empty);
  front->deliver(connection, admission::Delta{id, {0}, {1}, "still here"});
  front->deliver(connection, admission::Done{id, "stop", {}, 1, true});
  run_until(io, [&] { return busy.ended; });
  EXPECT_TRUE(busy.has("still here"));
  EXPECT_TRUE(busy.has("data: [DONE]"));
  busy.finish();
  run_until(io, [&] { return empty; });
}

TEST_F(HttpLimitsTest, ClosingWaitsForNobody) {
  open();
  HttpClient hung = client();
  ConnectionId connection;
  begin(hung, connection);
  hung.read();
  bool empty = false;
  front->drain([&] { empty = true; });
  front->close();
  EXPECT_EQ(port.gone_connections, std::vector{connection});
  run_until(io, [&] { return hung.ended && empty; });
}

}  // namespace
}  // namespace aorta::fronts
