#pragma once
// A server for clients' tests: answers by a script, on a thread of its own; its connections can be
// cut.
#include <zmq.h>

#include <array>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>
#include <zmq.hpp>

namespace aorta::client {

using Ask = std::pair<std::string, nlohmann::json>;  // verb and body
using Script = std::function<std::vector<Ask>(const Ask&)>;

inline const std::string request_id(32, '7');
inline const Ask accepted{"accepted", {{"request", request_id}, {"model", "m"}, {"seed", 7}}};
inline const Ask cut{"cut", {}};  // close all connections, and listen again
inline Ask tokens(std::uint32_t index, const std::string& text) {
  return {"tokens", {{"index", index}, {"ids", {index}}, {"text", text}}};
}
inline Ask done() {
  return {"done",
          {{"finish_reason", "stop"},
           {"usage", {{"completion_tokens", 2}}},
           {"epochs", 1},
           {"same_numerics", true}}};
}

class ScriptedServer {
 public:
  // With a secret key its connections are encrypted.
  explicit ScriptedServer(Script script, std::string secret_key = {})
      : script_(std::move(script)), secret_key_(std::move(secret_key)) {
    listen("tcp://127.0.0.1:*");
    address_ = socket_.get(zmq::sockopt::last_endpoint);
    thread_ = std::thread([this] { run(); });
  }
  ~ScriptedServer() {
    zmq::context_t context;
    zmq::socket_t socket(context, zmq::socket_type::dealer);
    if (!secret_key_.empty()) {
      socket.set(zmq::sockopt::curve_secretkey, secret_key_);
      socket.set(zmq::sockopt::curve_publickey, public_key());
      socket.set(zmq::sockopt::curve_serverkey, public_key());
    }
    socket.connect(address_);
    send(socket, {"stop", nlohmann::json::object()});
    thread_.join();
  }
  const std::string& address() const { return address_; }
  std::string public_key() const {
    std::array<char, 41> key{};
    zmq_curve_public(key.data(), secret_key_.c_str());
    return key.data();
  }
  std::vector<nlohmann::json> asked(const std::string& verb) {
    const std::lock_guard lock(mutex_);
    std::vector<nlohmann::json> bodies;
    for (const Ask& ask : asked_) {
      if (ask.first == verb) bodies.push_back(ask.second);
    }
    return bodies;
  }

 private:
  static void send(zmq::socket_t& socket, const Ask& message) {
    const auto body = nlohmann::json::to_msgpack(message.second);
    socket.send(zmq::str_buffer("AOR1"), zmq::send_flags::sndmore);
    socket.send(zmq::buffer(message.first), zmq::send_flags::sndmore);
    socket.send(zmq::buffer(body), zmq::send_flags::none);
  }

  void listen(const std::string& endpoint) {
    socket_ = zmq::socket_t(context_, zmq::socket_type::router);
    if (!secret_key_.empty()) {
      socket_.set(zmq::sockopt::curve_server, true);
      socket_.set(zmq::sockopt::curve_secretkey, secret_key_);
    }
    socket_.bind(endpoint);
  }

  // What was sent arrives; closing a context waits until its port is free.
  void cut_connections() {
    socket_.set(zmq::sockopt::linger, 1000);
    socket_.close();
    context_.close();
    context_ = zmq::context_t();
    listen(address_);
  }

  void run() {
    for (;;) {
      zmq::message_t peer, magic, verb, body;
      for (zmq::message_t* frame : {&peer, &magic, &verb, &body}) (void)socket_.recv(*frame);
      if (verb.to_string() == "stop") return;
      const Ask ask{verb.to_string(), nlohmann::json::from_msgpack(
                                          body.data<char>(), body.data<char>() + body.size())};
      {
        const std::lock_guard lock(mutex_);
        asked_.push_back(ask);
      }
      for (Ask answer : script_(ask)) {
        if (answer.first == "cut") {
          cut_connections();
          break;
        }
        if (ask.second.contains("id") && !answer.second.contains("id")) {
          answer.second["id"] = ask.second["id"];
        }
        socket_.send(zmq::buffer(peer.data(), peer.size()), zmq::send_flags::sndmore);
        send(socket_, answer);
      }
    }
  }

  Script script_;
  std::string secret_key_;
  zmq::context_t context_;
  zmq::socket_t socket_;
  std::string address_;
  std::thread thread_;
  std::mutex mutex_;
  std::vector<Ask> asked_;
};

}  // namespace aorta::client
