#pragma once
// ZeroMQ as it fails: DEALERs that dial, ROUTERs that bind, first in first out on a connection and
// no order between connections. A disconnect loses what is in flight and what the bind side had
// queued; what the connect side had queued goes to whoever answers next, also to a restarted
// binder. A ROUTER's send to a peer that is not connected is reported as unreachable.
// Messages travel as the codec's bytes, so an encoding fault is a simulator fault too.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mesh/service.hpp"
#include "tests/sim/random.hpp"
#include "tests/sim/timeline.hpp"

namespace aorta::sim {

struct NetworkOptions {
  Duration latency_min = std::chrono::microseconds(20);
  Duration latency_max = std::chrono::microseconds(400);
  double slow_message = 0.01;  // share that takes up to 50 ms instead
  Duration reconnect_max = std::chrono::milliseconds(100);
  std::size_t queue_messages = 10000;  // of the connect side while disconnected
};

class Network {
 public:
  // What the network tells a process; nobody is told while it is dead.
  class Endpoint {
   public:
    virtual ~Endpoint() = default;
    virtual void deliver(const mesh::PeerId& from, const mesh::Message& message) = 0;
    virtual void unreachable(const mesh::PeerId& peer) = 0;
  };
  struct Port;  // the sockets of one life of a process
  enum class Direction { up, down };  // from the dialler to the binder, and back

  Network(Timeline& timeline, std::uint64_t seed, NetworkOptions options);
  ~Network();

  // A process comes to life under its identity; `address` is what others dial it by, or empty.
  Port* attach(const mesh::PeerId& self, const std::string& address, Endpoint& endpoint);
  // It died: its sockets are gone, its peers see disconnects.
  void detach(Port* port);

  void dial(Port* port, const std::string& name, const std::string& address);
  void hang_up(Port* port, const std::string& name);
  void send(Port* port, const mesh::PeerId& to, const mesh::Message& message);

  // Connections between two names, as they are now. Cut: in flight is lost, it comes back by
  // itself, but not before `until`.
  void cut(const std::string& dialler, const std::string& binder, TimePoint until);
  // One direction is dead until then: what is sent arrives late, in order.
  void block(const std::string& dialler, const std::string& binder, Direction direction,
             TimePoint until);
  // Everything takes so much longer until then: what others send overtakes it.
  void delay(const std::string& dialler, const std::string& binder, Duration by, TimePoint until);
  // (dialler, binder) of all connections that stand.
  std::vector<std::pair<std::string, std::string>> connections() const;
  std::uint64_t messages() const { return messages_; }

 private:
  struct Bytes {
    std::uint16_t type;
    std::string body;
  };
  struct Connection;
  template <class Act>
  void each(const std::string& dialler, const std::string& binder, Act act);
  void connect(Connection& connection);
  void connect_later(Connection& connection, std::int64_t least_us);
  void drop(Connection& connection);
  void close(Connection& connection);
  void transmit(Connection& connection, Direction direction, Bytes bytes);
  void arrive(Connection& connection, Direction direction, const Bytes& bytes);
  Duration latency();

  Timeline& timeline_;
  Random random_;
  NetworkOptions options_;
  std::vector<std::unique_ptr<Port>> ports_;  // of all lives: events point to them
  std::vector<std::unique_ptr<Connection>> connections_;
  std::map<std::string, Port*> bound_;  // by address
  std::uint64_t messages_ = 0;
};

}  // namespace aorta::sim
