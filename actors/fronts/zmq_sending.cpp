// What ZeroMQ clients are told; what their queue does not take; who is gone.
#include <boost/asio/post.hpp>
#include <stdexcept>

#include "actors/fronts/zmq_replies.hpp"
#include "actors/fronts/zmq_server.hpp"
#include "mesh/client_codec.hpp"
#include "mesh/wire_loop.hpp"
#include "mesh/zmq_zap.hpp"

namespace aorta::fronts {

constexpr const char* curve_domain = "clients";

using boost::system::error_code;
using std::chrono::milliseconds;

ZmqServer::ZmqServer(mesh::WireLoop& loop, admission::ClientPort& port, ZmqOptions options,
                     std::shared_ptr<const mesh::ApiKeys> keys)
    : loop_(loop),
      port_(port),
      options_(std::move(options)),
      keys_(std::move(keys)),
      retry_timer_(loop.io()),
      ack_timer_(loop.io()) {}

void ZmqServer::start(ConnectionId first) {
  next_id_ = first.value;
  mesh::LoopSocketOptions socket;
  socket.kind = mesh::LoopSocketOptions::Kind::router;
  socket.handover = false;  // or a client could take another's streams by its name
  if (!options_.curve_secret.empty()) {
    socket.curve_server = mesh::CurveServer{options_.curve_secret, curve_domain};
    // Clients draw keys of their own: who they are, their API keys say.
    loop_.zap().judge(curve_domain, [](const std::string&) { return std::string("client"); });
  }
  socket.max_frame_bytes = options_.max_message_bytes;
  socket.send_queue_messages = options_.send_queue_messages;
  socket_ = std::make_unique<mesh::LoopSocket>(
      loop_, socket, [weak = weak_from_this()](std::vector<mesh::Frames>& batch) {
        const auto self = weak.lock();
        for (const mesh::Frames& frames : batch) {
          if (self && self->socket_) self->on_message(frames);
        }
      });
  for (const std::string& endpoint : options_.binds) {
    auto bound = socket_->bind(endpoint);
    if (!bound) throw std::runtime_error("cannot listen for ZeroMQ at " + bound.error().message);
    endpoints_.push_back(*bound);
  }
}

void ZmqServer::deliver(ConnectionId connection, const admission::ClientEvent& event) {
  ZmqStream* stream = peers_.find(connection);
  if (stream == nullptr || !socket_) return;
  ZmqReply reply = reply_of(event);
  if (!stream->id.empty()) reply.body["id"] = stream->id;
  const bool first = std::holds_alternative<admission::Accepted>(event);
  if (first && !stream->ignored.empty()) reply.body["ignored"] = std::move(stream->ignored);
  const bool last = stream->follow(event);
  const bool held = stream->held;
  send(std::string(stream->peer), reply);
  if (!last) return;
  peers_.remove(connection);
  if (held) post([connection](ZmqServer& self) { self.port_.hold(connection, false); });
  tell_if_empty();
}

void ZmqServer::send(const std::string& routing_id, const ZmqReply& reply) {
  ZmqPeer* peer = peers_.find_peer(routing_id);
  if (peer != nullptr && peer->lost) return;
  ZmqPeer::Unsent message{reply.verb, mesh::encode_client(reply.body)};
  if (peer != nullptr && !peer->unsent.empty()) return keep(routing_id, *peer, std::move(message));
  const auto result = socket_->send({routing_id, "AOR1", message.verb, message.body});
  if (peer == nullptr || result == mesh::SendResult::sent) return;
  if (result == mesh::SendResult::unreachable) return lose_later(routing_id, *peer);
  keep(routing_id, *peer, std::move(message));
  hold_later(routing_id);
  retry_later();
}

void ZmqServer::keep(const std::string& routing_id, ZmqPeer& peer, ZmqPeer::Unsent message) {
  peer.unsent_bytes += message.body.size();
  peer.unsent.push_back(std::move(message));
  if (peer.unsent_bytes > options_.max_unsent_bytes) lose_later(routing_id, peer);
}

// In a turn of its own, since this may be within deliver().
void ZmqServer::lose_later(const std::string& routing_id, ZmqPeer& peer) {
  if (std::exchange(peer.lost, true)) return;
  post([routing_id](ZmqServer& self) {
    const ZmqPeer* known = self.peers_.find_peer(routing_id);
    if (known != nullptr && known->lost) self.lose(routing_id);
  });
}

void ZmqServer::lose(const std::string& routing_id) {
  ZmqPeer* peer = peers_.find_peer(routing_id);
  if (peer == nullptr) return;
  ++lost_;
  peer->unsent.clear();
  const auto streams = peer->streams;
  for (const ConnectionId connection : streams) peers_.remove(connection);
  peers_.forget_if_idle(routing_id);
  for (const ConnectionId connection : streams) port_.gone(connection);
  tell_if_empty();
}

void ZmqServer::hold_later(const std::string& routing_id) {
  post([routing_id](ZmqServer& self) { self.hold(routing_id); });
}

void ZmqServer::hold(const std::string& routing_id) {
  const ZmqPeer* peer = peers_.find_peer(routing_id);
  if (peer == nullptr || peer->unsent.empty()) return;
  for (const ConnectionId connection : std::set(peer->streams)) {
    ZmqStream* stream = peers_.find(connection);
    if (stream == nullptr || stream->is_cancel || std::exchange(stream->held, true)) continue;
    port_.hold(connection, true);
  }
}

// Admission may answer with all that it held back, and fill the queue again: the others then stay.
void ZmqServer::release(const std::string& routing_id) {
  const ZmqPeer* peer = peers_.find_peer(routing_id);
  if (peer == nullptr) return;
  for (const ConnectionId connection : std::set(peer->streams)) {
    ZmqStream* stream = peers_.find(connection);
    if (stream == nullptr || !std::exchange(stream->held, false)) continue;
    port_.hold(connection, false);
    peer = peers_.find_peer(routing_id);
    if (peer == nullptr || peer->lost || !peer->unsent.empty()) return;
  }
  peers_.forget_if_idle(routing_id);
}

void ZmqServer::retry() {
  std::vector<std::string> waiting;
  for (const auto& [routing_id, peer] : peers_.peers()) {
    if (!peer.unsent.empty() && !peer.lost) waiting.push_back(routing_id);
  }
  for (const std::string& routing_id : waiting) {
    ZmqPeer* peer = peers_.find_peer(routing_id);
    if (peer == nullptr) continue;
    auto result = mesh::SendResult::sent;
    while (!peer->unsent.empty() && result == mesh::SendResult::sent) {
      const ZmqPeer::Unsent& message = peer->unsent.front();
      result = socket_->send({routing_id, "AOR1", message.verb, message.body});
      if (result != mesh::SendResult::sent) break;
      peer->unsent_bytes -= message.body.size();
      peer->unsent.pop_front();
    }
    if (result == mesh::SendResult::unreachable) {
      lose(routing_id);
    } else if (result == mesh::SendResult::full) {
      retry_later();
    } else {
      release(routing_id);
    }
  }
  tell_if_empty();
}

void ZmqServer::retry_later() {
  if (std::exchange(retry_armed_, true)) return;
  retry_timer_.expires_after(milliseconds(options_.retry_ms));
  retry_timer_.async_wait([weak = weak_from_this()](error_code error) {
    const auto self = weak.lock();
    if (error || !self || !self->socket_) return;
    self->retry_armed_ = false;
    self->retry();
  });
}

// Clients that promised acks and have sent none for too long.
void ZmqServer::expire() {
  const TimePoint oldest = now() - milliseconds(options_.ack_timeout_ms);
  std::vector<ConnectionId> expired;
  bool more = false;
  for (const auto& [connection, stream] : peers_.streams()) {
    if (!stream.acks) continue;
    more = true;
    // Before it is accepted there is nothing to acknowledge.
    if (stream.accepted && stream.renewed <= oldest) expired.push_back(connection);
  }
  for (const ConnectionId connection : expired) {
    peers_.remove(connection);
    ++lost_;
    port_.gone(connection);
  }
  if (more) expire_later();
  tell_if_empty();
}

void ZmqServer::expire_later() {
  if (std::exchange(ack_armed_, true)) return;
  ack_timer_.expires_after(milliseconds(options_.ack_timeout_ms / 8 + 1));
  ack_timer_.async_wait([weak = weak_from_this()](error_code error) {
    const auto self = weak.lock();
    if (error || !self || !self->socket_) return;
    self->ack_armed_ = false;
    self->expire();
  });
}

void ZmqServer::drain(std::function<void()> on_empty) {
  on_empty_ = std::move(on_empty);
  tell_if_empty();
}

void ZmqServer::tell_if_empty() {
  if (!on_empty_ || peers_.peer_count() > 0) return;
  boost::asio::post(loop_.io(), std::exchange(on_empty_, nullptr));
}

void ZmqServer::close(bool tell_admission) {
  if (!socket_) return;
  socket_.reset();
  retry_timer_.cancel();
  ack_timer_.cancel();
  if (!tell_admission) return;
  std::vector<std::string> known;
  for (const auto& [routing_id, peer] : peers_.peers()) known.push_back(routing_id);
  for (const std::string& routing_id : known) lose(routing_id);
}

void ZmqServer::post(std::function<void(ZmqServer&)> turn) {
  boost::asio::post(loop_.io(), [weak = weak_from_this(), turn = std::move(turn)] {
    const auto self = weak.lock();
    if (self && self->socket_) turn(*self);
  });
}

std::vector<mesh::Figure> ZmqServer::figures() const {
  const auto figure = [](const char* name, std::uint64_t value, mesh::FigureKind kind) {
    return mesh::Figure{name, "", static_cast<double>(value), kind};
  };
  using enum mesh::FigureKind;
  return {
      figure("aorta_zmq_clients", peers_.peer_count(), gauge),
      figure("aorta_zmq_streams", peers_.stream_count(), gauge),
      figure("aorta_zmq_requests_total", requests_, counter),
      figure("aorta_zmq_garbage_total", garbage_, counter),
      figure("aorta_zmq_unauthorized_total", unauthorized_, counter),
      figure("aorta_zmq_clients_lost_total", lost_, counter),
  };
}

}  // namespace aorta::fronts
