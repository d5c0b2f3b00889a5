#pragma once
// Who is at the other end: the hello that every connection begins with, incarnations, and which of
// two services of one name stays. Pure; every core holds one.
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "mesh/service.hpp"

namespace aorta::mesh {

struct PeeringOptions {
  Duration hello_every = std::chrono::milliseconds(200);  // until answered
};

class Peering {
 public:
  struct Peer {
    PeerId self;
    ServiceKind kind{};
    Hello hello;           // as it said; for a binder we dialled only kind-less Welcome facts
    bool dialled = false;  // we connect to it
    TimePoint heard{};     // last message of any kind
  };
  // What handle() found; `peer` is valid for joined and restarted.
  enum class Outcome {
    none,       // a message for the service: go on with it
    consumed,   // was peering's own
    joined,     // a new peer, or one we dialled answered for the first time
    restarted,  // the same name with a newer incarnation: what the old one held is gone
    stale,      // from an old incarnation or an unknown sender: answered, drop the message
    leave,      // we were superseded or refused: out.leave is set (78)
  };

  Peering(Hello self, PeeringOptions options = {});

  const Hello& self() const { return self_; }
  void dial(const std::string& name, const std::string& address, TimePoint now, Outbox& out);
  void hang_up(const std::string& name, Outbox& out);
  // First thing on every message.
  Outcome handle(const PeerId& from, const Message& message, TimePoint now, Outbox& out);
  // The peer of that name, if it has introduced itself or answered.
  const Peer* find(const std::string& name) const;
  const std::map<std::string, Peer>& peers() const { return peers_; }
  void forget(const std::string& name);
  void tick(TimePoint now, Outbox& out);
  TimePoint next_tick() const;

 private:
  struct Dialled {
    std::string address;
    TimePoint next_hello{};
    bool answered = false;
  };
  Hello self_;
  PeeringOptions options_;
  std::map<std::string, Peer> peers_;
  std::map<std::string, Dialled> dialled_;
};

}  // namespace aorta::mesh
