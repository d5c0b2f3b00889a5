#pragma once
// Who is at the other end: the hello that every connection begins with, incarnations, and which of
// two services of one name stays. Pure; every core holds one.
//
//   dialler  Hello ──▶ binder     repeated until answered, and at once when asked Who
//            Welcome ◀──          known from now on
//            Superseded ◀──       a newer life of that name is here: leave, exit 78
//            Refused ◀──          the two cannot work together: leave, exit 78
//            Who ◀──              the binder (restarted) does not know you; it dropped the message
#include <map>
#include <string>

#include "mesh/service.hpp"

namespace aorta::mesh {

inline constexpr int exit_superseded = 78;  // not to be restarted

struct PeeringOptions {
  Duration hello_every = std::chrono::milliseconds(200);   // until answered
  Duration forget_tools_after = std::chrono::seconds(60);  // of silence; tools may not say bye
};

class Peering {
 public:
  struct Peer {
    PeerId self;
    ServiceKind kind{};       // as its hello said; meaningless for a binder that only answered
    Hello hello;              // as it said; empty for a binder that only answered
    bool dialled = false;     // we connect to it
    bool introduced = false;  // it dialled us and said hello
    TimePoint heard{};        // last message of any kind
  };
  // What handle() found. After joined and restarted, find(from.name) is the peer.
  enum class Outcome {
    none,       // a message for the service: go on with it
    consumed,   // was peering's own
    joined,     // a new peer, or one we dialled answered for the first time
    restarted,  // the same name with a newer incarnation: what the old one held is gone
    stale,      // from an old incarnation, an unknown sender or a forger: drop the message
    leave,      // we were superseded or refused: out.leave is set (78)
  };

  Peering(Hello self, PeeringOptions options = {});

  const Hello& self() const { return self_; }
  // Level-triggered: dialling a name again at the same address does nothing, at another replaces.
  void dial(const std::string& name, const std::string& address, TimePoint now, Outbox& out);
  void hang_up(const std::string& name, Outbox& out);
  bool dialled(const std::string& name) const { return dialled_.contains(name); }
  // First thing on every message.
  Outcome handle(const Sender& from, const Message& message, TimePoint now, Outbox& out);
  // The peer of that name, if it has introduced itself or answered.
  const Peer* find(const std::string& name) const;
  const std::map<std::string, Peer>& peers() const { return peers_; }
  // The peer is gone (said goodbye, declared dead). One that we dialled is greeted again.
  void forget(const std::string& name, TimePoint now);
  void tick(TimePoint now, Outbox& out);
  TimePoint next_tick() const;

 private:
  struct Dialled {
    std::string address;
    TimePoint next_hello{};
    bool answered = false;
  };
  bool is_forged(const Sender& from, const Message& message, Outbox& out);
  void say_hello(const std::string& name, Dialled& dialled, TimePoint now, Outbox& out);
  Outcome on_hello(const PeerId& from, const Hello& hello, TimePoint now, Outbox& out);
  Outcome on_welcome(const PeerId& from, const Welcome& welcome, TimePoint now, Outbox& out);
  Outcome on_other(const PeerId& from, TimePoint now, Outbox& out);

  Hello self_;
  PeeringOptions options_;
  std::map<std::string, Peer> peers_;
  std::map<std::string, Dialled> dialled_;
};

}  // namespace aorta::mesh
