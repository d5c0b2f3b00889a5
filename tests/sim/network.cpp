#include "tests/sim/network.hpp"

#include <algorithm>

#include "base/result.hpp"
#include "mesh/codec.hpp"

namespace aorta::sim {

Network::Network(Timeline& timeline, Random& random, NetworkOptions options)
    : timeline_(timeline), random_(random), options_(options) {}

Duration Network::latency() {
  if (random_.chance(options_.slow_message)) return Duration(random_.between(1000, 50000));
  return Duration(random_.between(options_.latency_min.count(), options_.latency_max.count()));
}

void Network::attach(const mesh::PeerId& self, const std::string& address, Endpoint& endpoint) {
  endpoints_[self] = &endpoint;
  if (!address.empty()) bound_[address] = self;
}

void Network::detach(const mesh::PeerId& self) {
  endpoints_.erase(self);
  std::erase_if(bound_, [&](const auto& bound) { return bound.second == self; });
  std::erase_if(connections_, [&](const auto& entry) { return entry.first.first == self; });
  for (auto& [key, connection] : connections_) {
    if (connection.binder != self) continue;
    drop(connection);
    timeline_.after(Duration(random_.between(1, options_.reconnect_max.count())),
                    [this, key = key] { connect(key); });
  }
}

void Network::drop(Connection& connection) {
  connection.binder = {};
  ++connection.generation;
  connection.last_up = connection.last_down = timeline_.now();
}

void Network::dial(const mesh::PeerId& self, const std::string& name, const std::string& address) {
  const Key key{self, name};
  auto [it, added] = connections_.try_emplace(key);
  if (!added) drop(it->second);
  it->second.dialler = self;
  it->second.name = name;
  it->second.address = address;
  timeline_.after(latency(), [this, key] { connect(key); });
}

void Network::hang_up(const mesh::PeerId& self, const std::string& name) {
  connections_.erase({self, name});
}

void Network::connect(const Key& key) {
  auto it = connections_.find(key);
  if (it == connections_.end() || !it->second.binder.name.empty()) return;
  Connection& connection = it->second;
  auto bound = bound_.find(connection.address);
  if (bound == bound_.end() || timeline_.now() < connection.cut_until) {
    timeline_.after(Duration(random_.between(1000, options_.reconnect_max.count())),
                    [this, key] { connect(key); });
    return;
  }
  connection.binder = bound->second;
  auto queued = std::move(connection.queued);
  connection.queued.clear();
  for (auto& bytes : queued) transmit(key, true, std::move(bytes));
}

void Network::transmit(const Key& key, bool up, Bytes bytes) {
  Connection& connection = connections_.at(key);
  TimePoint& last = up ? connection.last_up : connection.last_down;
  last = std::max(last + Duration(1), timeline_.now() + latency());
  timeline_.at(last, [this, key, up, generation = connection.generation, bytes = std::move(bytes)] {
    auto it = connections_.find(key);
    if (it == connections_.end() || it->second.generation != generation) return;
    auto endpoint = endpoints_.find(up ? it->second.binder : it->second.dialler);
    if (endpoint == endpoints_.end()) return;
    auto message = mesh::decode(bytes.type, bytes.body);
    AORTA_CHECK(message.ok(), "a message of ours must decode");
    const mesh::PeerId from = up ? it->second.dialler : mesh::PeerId{it->second.name, {}};
    endpoint->second->deliver(from, *message);
  });
}

void Network::send(const mesh::PeerId& self, const mesh::PeerId& to, const mesh::Message& message) {
  Bytes bytes{mesh::number_of(message), mesh::encode_body(message)};
  if (to.incarnation.value == 0) {  // by our own DEALER
    auto it = connections_.find({self, to.name});
    if (it == connections_.end()) return;  // never dialled: a silent drop
    if (!it->second.binder.name.empty()) {
      transmit(it->first, true, std::move(bytes));
    } else if (it->second.queued.size() < options_.queue_messages) {
      it->second.queued.push_back(std::move(bytes));
    }
    return;
  }
  for (auto& [key, connection] : connections_) {  // by our ROUTER
    if (connection.dialler == to && connection.binder == self) {
      return transmit(key, false, std::move(bytes));
    }
  }
  timeline_.after(Duration(1), [this, self, to] {
    auto endpoint = endpoints_.find(self);
    if (endpoint != endpoints_.end()) endpoint->second->unreachable(to);
  });
}

void Network::disconnect(const std::string& dialler, const std::string& binder) {
  partition(dialler, binder, timeline_.now());
}

void Network::partition(const std::string& dialler, const std::string& binder, TimePoint until) {
  for (auto& [key, connection] : connections_) {
    if (key.first.name != dialler || key.second != binder) continue;
    connection.cut_until = until;
    if (!connection.binder.name.empty()) drop(connection);
    timeline_.after(Duration(random_.between(1, options_.reconnect_max.count())),
                    [this, key = key] { connect(key); });
  }
}

}  // namespace aorta::sim
