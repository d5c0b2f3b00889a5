// A binder that is dialled by name and comes back at another address, over real sockets.
#include "mesh/zmq_name_dial.hpp"

#include <utility>  // before asio.hpp

#include <gtest/gtest.h>
#include <zmq.h>

#include <array>
#include <boost/asio/io_context.hpp>

namespace aorta::mesh {
namespace {

using std::chrono::milliseconds;

class NameDialTest : public ::testing::Test {
 protected:
  void* open(int kind) {
    void* socket = zmq_socket(loop.zmq_context(), kind);
    const int no_linger = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &no_linger, sizeof no_linger);
    return socket;
  }
  void* bind(const std::string& endpoint) {
    void* router = open(ZMQ_ROUTER);
    EXPECT_EQ(zmq_bind(router, endpoint.c_str()), 0) << endpoint;
    return router;
  }
  static std::string port_of(void* router) {
    std::array<char, 64> endpoint{};
    std::size_t size = endpoint.size();
    zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint.data(), &size);
    const std::string text(endpoint.data());
    return text.substr(text.rfind(':') + 1);
  }
  // Runs the loop until a word of the dealer's has reached the router.
  ::testing::AssertionResult hears(void* router, void* dealer) {
    for (int turn = 0; turn < 3000; ++turn) {
      zmq_send(dealer, "word", 4, ZMQ_DONTWAIT);
      loop.io().restart();
      loop.io().run_one_for(milliseconds(10));
      char buffer[16];
      if (zmq_recv(router, buffer, sizeof buffer, ZMQ_DONTWAIT) >= 0) {
        return ::testing::AssertionSuccess();
      }
    }
    return ::testing::AssertionFailure() << "nothing came";
  }
  NameDialOptions dial(const std::string& port) {
    return {.host = "binder", .port = port, .look_up = [this](const auto& host, auto found) {
              EXPECT_EQ(host, "binder");
              ++looked_up;
              found(address);
            }};
  }

  WireLoop loop;
  std::string address;  // what the name means
  int looked_up = 0;
};

TEST_F(NameDialTest, FollowsTheNameToAnotherAddress) {
  void* first = bind("tcp://127.0.0.1:*");
  const std::string port = port_of(first);
  void* dealer = open(ZMQ_DEALER);
  {
    const NameDial by_name(loop, dealer, dial(port));
    EXPECT_EQ(looked_up, 1);
    address = "127.0.0.1";  // known a moment later, as a container's that is starting
    ASSERT_TRUE(hears(first, dealer));
    const int while_connected = looked_up;
    ASSERT_TRUE(hears(first, dealer));
    EXPECT_EQ(looked_up, while_connected) << "nothing is looked up without need";

    zmq_close(first);
    address = "127.0.0.2";
    void* second = bind("tcp://127.0.0.2:" + port);
    EXPECT_TRUE(hears(second, dealer));
    zmq_close(second);
  }
  zmq_close(dealer);
}

TEST_F(NameDialTest, ClosesWhileALookUpIsOnItsWay) {
  void* dealer = open(ZMQ_DEALER);
  NameDialOptions::Found later;
  {
    const NameDial by_name(loop, dealer,
                           {.host = "binder", .port = "1", .look_up = [&](auto&, auto found) {
                              later = std::move(found);
                            }});
  }
  zmq_close(dealer);
  later("127.0.0.1");  // must not touch the socket
  loop.io().poll();
}

TEST_F(NameDialTest, TheSystemKnowsLocalhost) {
  void* router = bind("tcp://127.0.0.1:*");
  void* dealer = open(ZMQ_DEALER);
  {
    const NameDial by_name(loop, dealer, to_name_dial("tcp://localhost:" + port_of(router)));
    EXPECT_TRUE(hears(router, dealer));
  }
  zmq_close(dealer);
  zmq_close(router);
}

TEST(NameDial, AddressesAreNoNames) {
  for (const char* address : {"tcp://127.0.0.1:80", "tcp://[::1]:80", "tcp://*:80", "ipc:///a",
                              "inproc://a", "tcp://eth0;10.0.0.1:80"}) {
    EXPECT_FALSE(dials_a_name(address)) << address;
  }
  EXPECT_TRUE(dials_a_name("tcp://scheduler:8083"));
  EXPECT_EQ(to_name_dial("tcp://scheduler:8083").host, "scheduler");
  EXPECT_EQ(to_name_dial("tcp://scheduler:8083").port, "8083");
}

}  // namespace
}  // namespace aorta::mesh
