#pragma once
// Who has something open at the ZeroMQ front: peers by routing id, their streams by connection id.
// Only bookkeeping; a peer without a stream and without unsent messages is not remembered.
#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "actors/admission/client.hpp"
#include "base/clock.hpp"
#include "base/ids.hpp"

namespace aorta::fronts {

struct ZmqStream {
  std::string peer;  // routing id
  std::string id;    // the client's name for it, echoed in replies; may be empty
  RequestId request;
  bool is_cancel = false;  // not a stream: a cancel of somebody else's, which one event answers
  bool accepted = false;
  bool held = false;                 // admission was told to hold back
  bool acks = false;                 // the client promised to acknowledge
  std::vector<std::string> ignored;  // fields of the request, told when it is accepted
  struct Choice {
    TokenIndex sent;   // next index after what was sent
    TokenIndex acked;  // next index after what the client has
    bool ended = false;
  };
  std::vector<Choice> choices{1};
  TimePoint renewed{};  // when it last showed progress

  // Notes what the event says of this stream. True when nothing follows it.
  bool follow(const admission::ClientEvent& event);
  // Progress renews, not words: the same index again does while nothing more was sent.
  void acknowledge(const std::vector<TokenIndex>& next, TimePoint now);

 private:
  Choice* find(std::uint32_t choice) {
    return choice < choices.size() ? &choices[choice] : nullptr;
  }
  bool end(std::uint32_t choice);
};

struct ZmqPeer {
  struct Unsent {
    const char* verb;
    std::string body;
  };
  std::set<ConnectionId> streams;
  std::deque<Unsent> unsent;  // its queue in libzmq is full
  std::size_t unsent_bytes = 0;
  bool lost = false;  // known gone: forgotten in a moment
};

class ZmqPeers {
 public:
  ZmqPeer* find_peer(const std::string& routing_id);
  ZmqStream* find(ConnectionId connection);
  // The peer's stream of that request or of that name.
  ZmqStream* find_request(const std::string& routing_id, RequestId request,
                          ConnectionId* connection = nullptr);
  bool has_id(const std::string& routing_id, std::string_view id);

  ZmqStream& add(ConnectionId connection, ZmqStream stream);
  void remove(ConnectionId connection);  // and its peer, when nothing is left of it
  void forget_if_idle(const std::string& routing_id);

  std::unordered_map<std::string, ZmqPeer>& peers() { return peers_; }
  std::unordered_map<ConnectionId, ZmqStream>& streams() { return streams_; }
  std::size_t peer_count() const { return peers_.size(); }
  std::size_t stream_count() const { return streams_.size(); }

 private:
  std::unordered_map<std::string, ZmqPeer> peers_;
  std::unordered_map<ConnectionId, ZmqStream> streams_;
};

}  // namespace aorta::fronts
