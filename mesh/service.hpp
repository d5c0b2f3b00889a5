#pragma once
// The shape of every core: an event and `now` go in, actions come out; no thread, clock, socket,
// file or random device. A shell (actors/shell.hpp) runs it on sockets; the simulator
// (tests/sim) runs a whole mesh of them in one thread under virtual time.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "mesh/messages.hpp"

namespace aorta::mesh {

// What the wire says of who sent a message: the routing id, or the name dialled; and what its key
// proves it to be, where services meet under keys.
struct Sender : PeerId {
  Sender(PeerId id, std::optional<ServiceKind> proven = {}) : PeerId(std::move(id)), role(proven) {}
  Sender(std::string name, Incarnation incarnation) : PeerId{std::move(name), incarnation} {}
  std::optional<ServiceKind> role;
};

// What a core wants done, in order. Sends never wait: what cannot go is dropped and counted, and
// repaired by the next heartbeat or the link.
struct Outbox {
  struct Send {
    PeerId to;  // incarnation 0: whoever answers to that name (a peer we dialled)
    Message message;
  };
  struct Dial {  // a DEALER to a binder; dialling a name again at another address replaces it
    std::string name;
    std::string address;
  };
  struct Leave {
    int exit_code = 0;
    std::string reason;
  };
  std::vector<Send> sends;
  std::vector<Dial> dials;
  std::vector<std::string> hangups;    // names dialled before
  std::vector<std::string> forgeries;  // who gave itself out for what it is not: for the log
  std::optional<Leave> leave;          // end of this service

  template <class M>
  void send(const PeerId& to, M&& message) {
    sends.push_back({to, Message(std::forward<M>(message))});
  }
};

class Service {
 public:
  virtual ~Service() = default;
  virtual const Hello& self() const = 0;
  // Called once, before anything else: first dials.
  virtual void start(TimePoint now, Outbox& out) = 0;
  virtual void receive(const Sender& from, const Message& message, TimePoint now, Outbox& out) = 0;
  // A send to this peer found nobody (EHOSTUNREACH).
  virtual void unreachable(const PeerId& peer, TimePoint now, Outbox& out) = 0;
  // SIGTERM or Drain: finish or hand over, then out.leave with exit code 0.
  virtual void drain(TimePoint now, Outbox& out) = 0;
  // Called at or after next_tick(); never earlier.
  virtual void tick(TimePoint now, Outbox& out) = 0;
  virtual TimePoint next_tick() const = 0;
};

}  // namespace aorta::mesh
