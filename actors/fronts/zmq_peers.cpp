#include "actors/fronts/zmq_peers.hpp"

#include <algorithm>

namespace aorta::fronts {

bool ZmqStream::follow(const admission::ClientEvent& event) {
  if (const auto* taken = std::get_if<admission::Accepted>(&event)) {
    accepted = true;
    request = taken->request;
    renewed = now();
    choices.resize(taken->choices);
  } else if (const auto* delta = std::get_if<admission::Delta>(&event)) {
    const auto tokens = static_cast<std::uint32_t>(delta->ids.size());
    if (Choice* choice = find(delta->choice)) choice->sent.value = delta->first.value + tokens;
  } else if (const auto* done = std::get_if<admission::Done>(&event)) {
    return end(done->choice);
  } else if (const auto* failed = std::get_if<admission::Failed>(&event)) {
    return end(failed->choice);
  }
  return is_cancel || std::holds_alternative<admission::Rejected>(event);
}

bool ZmqStream::end(std::uint32_t number) {
  if (Choice* choice = find(number)) choice->ended = true;
  return is_cancel ||
         std::all_of(choices.begin(), choices.end(), [](const Choice& one) { return one.ended; });
}

void ZmqStream::acknowledge(const std::vector<TokenIndex>& next, TimePoint at) {
  for (std::size_t i = 0; i < std::min(next.size(), choices.size()); ++i) {
    Choice& choice = choices[i];
    if (next[i] > choice.acked || next[i] == choice.sent) renewed = at;
    choice.acked = std::max(choice.acked, next[i]);
  }
}

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
