#pragma once
// ZeroMQ as it fails: DEALERs that dial, ROUTERs that bind, first in first out on a connection and
// no order between connections. A disconnect loses what is in flight and what the bind side had
// queued; what the connect side had queued goes to whoever answers next, also to a restarted
// binder. A ROUTER's send to a peer that is not connected is reported as unreachable.
// Messages travel as the codec's bytes, so an encoding fault is a simulator fault too.
#include <functional>
#include <map>
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

  Network(Timeline& timeline, Random& random, NetworkOptions options);

  // A process comes to life under its identity; `address` is what others dial it by, or empty.
  void attach(const mesh::PeerId& self, const std::string& address, Endpoint& endpoint);
  // It died: its sockets are gone, its peers see disconnects.
  void detach(const mesh::PeerId& self);

  void dial(const mesh::PeerId& self, const std::string& name, const std::string& address);
  void hang_up(const mesh::PeerId& self, const std::string& name);
  void send(const mesh::PeerId& self, const mesh::PeerId& to, const mesh::Message& message);

  // Cuts the connection between two processes, if there is one; it comes back by itself.
  void disconnect(const std::string& dialler, const std::string& binder);
  // No connection forms between these names until healed.
  void partition(const std::string& dialler, const std::string& binder, TimePoint until);

 private:
  struct Bytes {
    std::uint16_t type;
    std::string body;
  };
  struct Connection {  // of a dialler to a name
    mesh::PeerId dialler;
    std::string name, address;
    mesh::PeerId binder;               // of this generation; name empty: not connected
    std::uint64_t generation = 0;      // in-flight messages of older ones are lost
    std::vector<Bytes> queued;         // connect side, waiting for a connection
    TimePoint last_up{}, last_down{};  // delivery times, to keep order in each direction
    TimePoint cut_until{};
  };
  using Key = std::pair<mesh::PeerId, std::string>;

  void connect(const Key& key);
  void drop(Connection& connection);
  void transmit(const Key& key, bool up, Bytes bytes);
  Duration latency();

  Timeline& timeline_;
  Random& random_;
  NetworkOptions options_;
  std::map<mesh::PeerId, Endpoint*> endpoints_;
  std::map<std::string, mesh::PeerId> bound_;  // address → process
  std::map<Key, Connection> connections_;
};

}  // namespace aorta::sim
