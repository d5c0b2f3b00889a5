// The monitor's HTTP over a real loopback socket.
#include "actors/monitor/monitor_http.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>
#include <utility>
// <utility> before Boost.Asio: g++ 12 with C++20 needs it so.
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace aorta::monitor {
namespace {

namespace asio = boost::asio;

class MonitorHttpTest : public ::testing::Test {
 protected:
  MonitorHttpTest()
      : http(io, options(), [] { return std::string("aorta_up 1\n"); }),
        thread([this] { io.run(); }) {}
  ~MonitorHttpTest() override {
    io.stop();
    thread.join();
  }
  static MonitorHttpOptions options() {
    MonitorHttpOptions options;
    options.port = 0;
    return options;
  }
  std::string ask(const std::string& request) {
    asio::io_context own;
    asio::ip::tcp::socket socket(own);
    socket.connect({asio::ip::make_address("127.0.0.1"), http.port()});
    asio::write(socket, asio::buffer(request));
    std::string answer;
    boost::system::error_code error;
    asio::read(socket, asio::dynamic_buffer(answer), error);
    return answer;
  }

  asio::io_context io;
  MonitorHttp http;
  std::thread thread;
};

TEST_F(MonitorHttpTest, ServesMetricsAndHealth) {
  const std::string metrics = ask("GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(metrics.starts_with("HTTP/1.1 200")) << metrics;
  EXPECT_NE(metrics.find("text/plain; version=0.0.4"), std::string::npos);
  EXPECT_TRUE(metrics.ends_with("\r\n\r\naorta_up 1\n"));
  EXPECT_TRUE(ask("GET /health HTTP/1.1\r\nConnection: close\r\n\r\n").ends_with("ok\n"));
}

TEST_F(MonitorHttpTest, RefusesTheRest) {
  EXPECT_TRUE(ask("GET /x HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 404"));
  EXPECT_TRUE(
      ask("PUT /metrics HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 405"));
  EXPECT_EQ(ask("nonsense\r\n\r\n"), "");
  EXPECT_EQ(ask("GET /" + std::string(20000, 'x') + " HTTP/1.1\r\n\r\n"), "");
}

TEST_F(MonitorHttpTest, APortInUseIsASentence) {
  MonitorHttpOptions taken = options();
  taken.port = http.port();
  asio::io_context other;
  try {
    MonitorHttp second(other, taken, [] { return std::string(); });
    FAIL() << "it listened on a port in use";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("--port-base"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace aorta::monitor
