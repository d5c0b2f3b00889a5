#include "actors/fronts/zmq_peers.hpp"

namespace aorta::fronts {

ZmqPeer* ZmqPeers::find_peer(const std::string& routing_id) {
  const auto entry = peers_.find(routing_id);
  return entry == peers_.end() ? nullptr : &entry->second;
}

ZmqStream* ZmqPeers::find(ConnectionId connection) {
  const auto entry = streams_.find(connection);
  return entry == streams_.end() ? nullptr : &entry->second;
}

ZmqStream* ZmqPeers::find_request(const std::string& routing_id, RequestId request,
                                  ConnectionId* connection) {
  const ZmqPeer* peer = find_peer(routing_id);
  if (peer == nullptr) return nullptr;
  for (const ConnectionId one : peer->streams) {
    ZmqStream& stream = streams_.at(one);
    if (stream.request != request || stream.is_cancel) continue;
    if (connection != nullptr) *connection = one;
    return &stream;
  }
  return nullptr;
}

bool ZmqPeers::has_id(const std::string& routing_id, std::string_view id) {
  const ZmqPeer* peer = find_peer(routing_id);
  if (peer == nullptr) return false;
  for (const ConnectionId one : peer->streams) {
    if (streams_.at(one).id == id) return true;
  }
  return false;
}

ZmqStream& ZmqPeers::add(ConnectionId connection, ZmqStream stream) {
  peers_[stream.peer].streams.insert(connection);
  return streams_.emplace(connection, std::move(stream)).first->second;
}

void ZmqPeers::remove(ConnectionId connection) {
  const auto entry = streams_.find(connection);
  if (entry == streams_.end()) return;
  const std::string routing_id = std::move(entry->second.peer);
  streams_.erase(entry);
  peers_.at(routing_id).streams.erase(connection);
  forget_if_idle(routing_id);
}

void ZmqPeers::forget_if_idle(const std::string& routing_id) {
  const auto entry = peers_.find(routing_id);
  if (entry == peers_.end()) return;
  if (entry->second.streams.empty() && entry->second.unsent.empty()) peers_.erase(entry);
}

}  // namespace aorta::fronts
