#pragma once
// The inside of the ZeroMQ front. zmq_requests.cpp reads what clients ask; zmq_sending.cpp tells
// them, keeps what their queue does not take, and notices who is gone.
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>  // before Asio, for g++ 12 and C++20
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "actors/fronts/text_api.hpp"
#include "actors/fronts/zmq_front.hpp"
#include "actors/fronts/zmq_peers.hpp"
#include "mesh/loop_socket.hpp"

namespace aorta::fronts {

struct ZmqReply;

class ZmqServer : public std::enable_shared_from_this<ZmqServer> {
 public:
  ZmqServer(mesh::WireLoop& loop, admission::ClientPort& port, ZmqOptions options,
            std::shared_ptr<const mesh::ApiKeys> keys);

  void start(ConnectionId first);
  void deliver(ConnectionId connection, const admission::ClientEvent& event);
  void drain(std::function<void()> on_empty);
  void close(bool tell_admission);
  const std::vector<std::string>& endpoints() const { return endpoints_; }
  std::vector<mesh::Figure> figures() const;

 private:
  // What clients ask (zmq_requests.cpp).
  void on_message(const mesh::Frames& frames);
  void on_verb(const std::string& peer, const std::string& verb, const nlohmann::json& body);
  struct Call {  // whose, on which socket, under which name of the client's
    std::string tenant, peer, id;
  };
  void generate(const Call& call, const nlohmann::json& body);
  void resume(const Call& call, const nlohmann::json& body);
  void cancel(const Call& call, const nlohmann::json& body);
  void ack(const std::string& peer, const std::string& id, const nlohmann::json& body);
  void text(const std::string& peer, const std::string& id, const char* verb,
            std::variant<TextAnswer, ApiError> answer);
  std::optional<ApiError> no_room(const std::string& peer, const std::string& id);
  ConnectionId open(ZmqStream stream);
  void garbage(const std::string& peer, std::string sentence);
  void refuse(const std::string& peer, const std::string& id, const ApiError& error);

  // What clients are told (zmq_sending.cpp).
  void send(const std::string& peer, const ZmqReply& reply);
  void keep(const std::string& routing_id, ZmqPeer& peer, ZmqPeer::Unsent message);
  void lose_later(const std::string& routing_id, ZmqPeer& peer);
  void lose(const std::string& routing_id);
  void hold_later(const std::string& routing_id);
  void hold(const std::string& routing_id);
  void release(const std::string& routing_id);
  void retry();
  void retry_later();
  void expire();
  void expire_later();
  void tell_if_empty();
  void post(std::function<void(ZmqServer&)> turn);

  mesh::WireLoop& loop_;
  admission::ClientPort& port_;
  const ZmqOptions options_;
  const std::shared_ptr<const mesh::ApiKeys> keys_;
  std::unique_ptr<mesh::LoopSocket> socket_;  // until closed
  std::vector<std::string> endpoints_;
  ZmqPeers peers_;
  std::uint64_t next_id_ = 0;
  boost::asio::steady_timer retry_timer_, ack_timer_;
  bool retry_armed_ = false, ack_armed_ = false;
  std::function<void()> on_empty_;  // draining
  std::uint64_t requests_ = 0, garbage_ = 0, lost_ = 0, unauthorized_ = 0;
};

}  // namespace aorta::fronts
