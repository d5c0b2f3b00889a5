#include "tests/sim/network.hpp"

#include <algorithm>

#include "base/result.hpp"
#include "mesh/codec.hpp"

namespace aorta::sim {

struct Network::Port {
  mesh::PeerId self;
  std::string address;
  Endpoint* endpoint = nullptr;              // null: this life is over
  std::map<std::string, Connection*> dials;  // by name
  std::vector<Connection*> accepted;
};

struct Network::Connection {  // of a dialler to a name
  Port* dialler = nullptr;    // null: closed for good
  std::string name, address;
  Port* binder = nullptr;         // null: not connected
  std::uint64_t generation = 0;   // in-flight messages of older ones are lost
  bool connecting = false;        // an attempt is on the timeline
  std::vector<Bytes> queued;      // connect side, waiting for a connection
  TimePoint last[2]{};            // delivery times, to keep order in each direction
  TimePoint cut_until{}, blocked_until[2]{}, delayed_until{};
  Duration delayed_by{};
};

Network::Network(Timeline& timeline, std::uint64_t seed, NetworkOptions options)
    : timeline_(timeline), random_(seed), options_(options) {}

Network::~Network() = default;

Duration Network::latency() {
  if (random_.chance(options_.slow_message)) return Duration(random_.between(1000, 50000));
  return Duration(random_.between(options_.latency_min.count(), options_.latency_max.count()));
}

Network::Port* Network::attach(const mesh::PeerId& self, const std::string& address,
                               Endpoint& endpoint) {
  Port& port = *ports_.emplace_back(std::make_unique<Port>(Port{self, address, &endpoint, {}, {}}));
  if (!address.empty()) bound_[address] = &port;
  return &port;
}

void Network::detach(Port* port) {
  port->endpoint = nullptr;
  if (auto bound = bound_.find(port->address); bound != bound_.end() && bound->second == port) {
    bound_.erase(bound);
  }
  for (auto& [name, connection] : port->dials) close(*connection);
  port->dials.clear();
  const auto accepted = port->accepted;  // dropping edits it
  for (Connection* connection : accepted) {
    drop(*connection);
    connect_later(*connection, 1);
  }
}

void Network::drop(Connection& connection) {
  if (connection.binder != nullptr) std::erase(connection.binder->accepted, &connection);
  connection.binder = nullptr;
  ++connection.generation;
  connection.last[0] = connection.last[1] = timeline_.now();
}

void Network::close(Connection& connection) {
  drop(connection);
  connection.dialler = nullptr;
  connection.queued.clear();
}

void Network::dial(Port* port, const std::string& name, const std::string& address) {
  auto [it, added] = port->dials.try_emplace(name);
  if (!added) close(*it->second);
  Connection& connection = *connections_.emplace_back(std::make_unique<Connection>());
  it->second = &connection;
  connection.dialler = port;
  connection.name = name;
  connection.address = address;
  connection.connecting = true;
  timeline_.after(latency(), [this, &connection] { connect(connection); });
}

void Network::hang_up(Port* port, const std::string& name) {
  auto it = port->dials.find(name);
  if (it == port->dials.end()) return;
  close(*it->second);
  port->dials.erase(it);
}

void Network::connect_later(Connection& connection, std::int64_t least_us) {
  if (connection.connecting || connection.dialler == nullptr) return;
  connection.connecting = true;
  timeline_.after(Duration(random_.between(least_us, options_.reconnect_max.count())),
                  [this, &connection] { connect(connection); });
}

void Network::connect(Connection& connection) {
  connection.connecting = false;
  if (connection.dialler == nullptr || connection.binder != nullptr) return;
  auto bound = bound_.find(connection.address);
  if (bound == bound_.end() || timeline_.now() < connection.cut_until) {
    return connect_later(connection, 20'000);
  }
  connection.binder = bound->second;
  connection.binder->accepted.push_back(&connection);
  auto queued = std::exchange(connection.queued, {});
  for (auto& bytes : queued) transmit(connection, Direction::up, std::move(bytes));
}

void Network::transmit(Connection& connection, Direction direction, Bytes bytes) {
  const auto d = static_cast<std::size_t>(direction);
  TimePoint when = timeline_.now() + latency();
  if (timeline_.now() < connection.delayed_until) when += connection.delayed_by;
  when = std::max({connection.last[d] + Duration(1), when, connection.blocked_until[d]});
  connection.last[d] = when;
  ++messages_;
  timeline_.at(when, [this, &connection, direction, generation = connection.generation,
                      bytes = std::move(bytes)] {
    if (connection.generation == generation) arrive(connection, direction, bytes);
  });
}

void Network::arrive(Connection& connection, Direction direction, const Bytes& bytes) {
  const auto message = mesh::decode(bytes.type, bytes.body);
  AORTA_CHECK(message.ok(), "a message of ours must decode");
  if (direction == Direction::up) {
    connection.binder->endpoint->deliver(connection.dialler->self, *message);
  } else {
    connection.dialler->endpoint->deliver({connection.name, {}}, *message);
  }
}

void Network::send(Port* port, const mesh::PeerId& to, const mesh::Message& message) {
  const auto bytes = [&] { return Bytes{mesh::number_of(message), mesh::encode_body(message)}; };
  if (to.incarnation.value == 0) {  // by our own DEALER
    auto it = port->dials.find(to.name);
    if (it == port->dials.end()) return;  // never dialled: a silent drop
    Connection& connection = *it->second;
    if (connection.binder != nullptr) {
      transmit(connection, Direction::up, bytes());
    } else if (connection.queued.size() < options_.queue_messages) {
      connection.queued.push_back(bytes());
    }
    return;
  }
  for (Connection* connection : port->accepted) {  // by our ROUTER
    if (connection->dialler->self == to) return transmit(*connection, Direction::down, bytes());
  }
  timeline_.after(Duration(1), [port, to] {
    if (port->endpoint != nullptr) port->endpoint->unreachable(to);
  });
}

template <class Act>
void Network::each(const std::string& dialler, const std::string& binder, Act act) {
  for (const auto& connection : connections_) {
    if (connection->dialler == nullptr || connection->name != binder) continue;
    if (connection->dialler->self.name == dialler) act(*connection);
  }
}

void Network::cut(const std::string& dialler, const std::string& binder, TimePoint until) {
  each(dialler, binder, [&](Connection& connection) {
    connection.cut_until = until;
    drop(connection);
    connect_later(connection, 1);
  });
}

void Network::block(const std::string& dialler, const std::string& binder, Direction direction,
                    TimePoint until) {
  each(dialler, binder, [&](Connection& connection) {
    connection.blocked_until[static_cast<std::size_t>(direction)] = until;
  });
}

void Network::delay(const std::string& dialler, const std::string& binder, Duration by,
                    TimePoint until) {
  each(dialler, binder, [&](Connection& connection) {
    connection.delayed_by = by;
    connection.delayed_until = until;
  });
}

std::vector<std::pair<std::string, std::string>> Network::connections() const {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& connection : connections_) {
    if (connection->dialler == nullptr || connection->binder == nullptr) continue;
    pairs.emplace_back(connection->dialler->self.name, connection->name);
  }
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

}  // namespace aorta::sim
