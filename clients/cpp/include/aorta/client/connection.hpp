#pragma once
// One ZeroMQ socket to a server, and what its monitor tells of it.
#include <zmq.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>
#include <zmq.hpp>

#include "aorta/client/answer.hpp"

namespace aorta::client {

struct Options {
  std::string address = "tcp://127.0.0.1:8081";
  // Or those of several admissions: a connection that is cut leads to the next one, where each open
  // answer is generated again up to what has come, and goes on from there.
  std::vector<std::string> addresses;
  std::string api_key;     // where the mesh wants one
  std::string server_key;  // its CURVE key or a file with it: the connection is then encrypted
  // For how long nothing may come before the connection counts as cut. The server says `waiting`
  // each second, but keeps a request for 10 s before it accepts it when executors are starting.
  std::chrono::milliseconds silence{15000};
  std::chrono::milliseconds first_contact{5000};  // how long that may take
  // How often in a row a connection that is cut is made anew, whereupon every open answer goes on
  // where it stopped; 0: it is a ConnectionLost at once.
  int retries = 3;
};

namespace detail {

// A key of 40 characters, or the path of a file whose last word it is.
inline std::string public_key(const std::string& text) {
  std::string key = text, word;
  for (std::ifstream file(text); file >> word;) key = word;
  if (key.size() != 40) {
    throw Error("server_key", "server_key is no key of 40 characters and no file: " + text, 400);
  }
  return key;
}

// A signal ends only a wait. Within a message it would leave half of one behind.
template <class Call>
auto uninterrupted(Call call) {
  for (;;) {
    try {
      return call();
    } catch (const zmq::error_t& error) {
      if (error.num() != EINTR) throw;
    }
  }
}

class Connection {
 public:
  // Dials; libzmq goes on dialling until somebody is there.
  Connection(zmq::context_t& context, const Options& options)
      : address_(options.address),
        socket_(context, zmq::socket_type::dealer),
        monitor_(context, zmq::socket_type::pair) {
    socket_.set(zmq::sockopt::linger, 200);
    // A host that dies says no goodbye: heartbeats find out.
    socket_.set(zmq::sockopt::heartbeat_ivl, 2000);
    socket_.set(zmq::sockopt::heartbeat_timeout, 6000);
    if (!options.server_key.empty()) encrypt(public_key(options.server_key));
    watch();
    try {
      uninterrupted([&] { socket_.connect(address_); });
    } catch (const zmq::error_t& error) {
      throw Error("address", address_ + " cannot be dialled: " + error.what(), 400);
    }
  }
  ~Connection() { zmq_socket_monitor(socket_.handle(), nullptr, 0); }

  // Never waits; false when there is no room.
  bool send(const std::string& verb, const PackedMap& body) {
    const std::string packed = body.pack();
    constexpr auto more = zmq::send_flags::sndmore;
    if (!send_frame(zmq::str_buffer("AOR1"), more)) return false;
    send_frame(zmq::buffer(verb), more);
    send_frame(zmq::buffer(packed), zmq::send_flags::none);
    return true;
  }

  // Returns when something has come, or the time is over; true when the connection is cut.
  bool wait(std::chrono::milliseconds time) {
    std::array<zmq::pollitem_t, 2> items = {
        {{socket_.handle(), 0, ZMQ_POLLIN, 0}, {monitor_.handle(), 0, ZMQ_POLLIN, 0}}};
    zmq::poll(items, time);
    return (items[1].revents & ZMQ_POLLIN) != 0 && saw();
  }

  // A message that has come: its verb and body.
  bool receive(std::string& verb, std::string& body) {
    for (;;) {
      std::vector<std::string> frames;
      zmq::message_t frame;
      do {
        if (!take_frame(socket_, frame)) return false;
        frames.push_back(frame.to_string());
      } while (frame.more());
      if (frames.size() != 3 || frames[0] != "AOR1") continue;  // not our protocol
      verb = std::move(frames[1]);
      body = std::move(frames[2]);
      return true;
    }
  }

  bool up() const { return up_; }
  const std::string& address() const { return address_; }

  // A sentence for when nobody answered for so long.
  std::string silence(std::chrono::milliseconds time) const {
    if (up_) return "no answer from " + address_ + " for " + std::to_string(time.count()) + " ms";
    if (trouble_.empty()) return "nobody answers at " + address_;
    return "no connection to " + address_ + ": " + trouble_ +
           "; is this aorta's ZeroMQ port, and is the server key its own?";
  }

 private:
  bool send_frame(zmq::const_buffer frame, zmq::send_flags flags) {
    return uninterrupted([&] { return socket_.send(frame, flags | zmq::send_flags::dontwait); })
        .has_value();
  }
  static bool take_frame(zmq::socket_t& socket, zmq::message_t& frame) {
    return uninterrupted([&] { return socket.recv(frame, zmq::recv_flags::dontwait); }).has_value();
  }

  void encrypt(const std::string& server_key) {
    std::array<char, 41> own{}, secret{};
    if (zmq_curve_keypair(own.data(), secret.data()) != 0) {
      throw Error("server_key", "this libzmq is built without CURVE");
    }
    socket_.set(zmq::sockopt::curve_publickey, own.data());
    socket_.set(zmq::sockopt::curve_secretkey, secret.data());
    socket_.set(zmq::sockopt::curve_serverkey, server_key);
  }

  void watch() {
    static std::atomic<std::uint64_t> next{0};
    const std::string name = "inproc://aorta-monitor-" + std::to_string(next++);
    zmq_socket_monitor(socket_.handle(), name.c_str(),
                       ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | failures);
    monitor_.set(zmq::sockopt::linger, 0);
    uninterrupted([&] { monitor_.connect(name); });
  }

  // Takes what the monitor says; whether a connection that was up is gone.
  bool saw() {
    zmq::message_t event, peer;
    if (!take_frame(monitor_, event)) return false;
    take_frame(monitor_, peer);
    std::uint16_t number = 0;
    std::memcpy(&number, event.data(), sizeof number);
    if (number == ZMQ_EVENT_DISCONNECTED) return up_;
    if (number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) up_ = true;
    if (number == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) trouble_ = "it does not let this client in";
    if (number == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
      trouble_ = "its handshake is of another kind";
    if (number == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)
      trouble_ = "the connection is closed in the handshake";
    return false;
  }

  static constexpr int failures = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                  ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                                  ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
  std::string address_;
  zmq::socket_t socket_, monitor_;
  bool up_ = false;
  std::string trouble_;
};

}  // namespace detail
}  // namespace aorta::client
