#pragma once
// Admission's ZeroMQ side: a ROUTER that clients dial. Frames ["AOR1", verb, msgpack map]; the
// verbs and fields are in docs/protocol.md. Runs on the loop's thread, and never calls the port
// from within deliver().
//
// To admission every generate and every resume comes from a connection id of its own, whichever
// peer asked. An id's life ends with Done, Failed or Rejected, or with gone().
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/admission/client.hpp"
#include "mesh/api_keys.hpp"

namespace aorta::mesh {
class WireLoop;
}

namespace aorta::fronts {

struct ZmqOptions {
  // Where to listen: tcp://ADDRESS:PORT (port 0: any free one, see endpoints()), ipc://PATH.
  std::vector<std::string> binds = {"tcp://127.0.0.1:8081"};
  std::string curve_secret;  // under CURVE with this key, where clients must know its public half
  std::uint32_t max_message_bytes = 4u << 20;  // of one frame; more costs a client its connection
  std::uint32_t max_peers = 4096;              // clients with something open; more are rejected
  std::uint32_t max_streams_per_peer = 1024;   // requests open at once on one socket
  std::uint32_t send_queue_messages = 1000;    // per client, in libzmq; then admission holds back
  std::uint32_t max_unsent_bytes = 8u << 20;   // per client, here; beyond it the client is gone
  std::uint32_t ack_timeout_ms = 5000;         // a client that promised acks and sends none is gone
  std::uint32_t retry_ms = 20;                 // how often a full queue is tried again
};

class ZmqFront final : public admission::Front {
 public:
  // `keys`: who may ask; the default lets everybody in.
  ZmqFront(mesh::WireLoop& loop, admission::ClientPort& port, ZmqOptions options,
           std::shared_ptr<const mesh::ApiKeys> keys = std::make_shared<mesh::ApiKeys>());
  // Closes the socket, but tells admission nothing, which may be gone already.
  ~ZmqFront();

  // Listens from now on; connection ids are first, first + 1, … Throws std::runtime_error with a
  // sentence when an endpoint cannot be bound.
  void start(ConnectionId first);
  const std::vector<std::string>& endpoints() const;  // as bound

  void deliver(ConnectionId connection, const admission::ClientEvent& event) override;
  // Calls `on_empty`, in a turn of its own, as soon as no stream is open and all is sent; what is
  // asked meanwhile, admission refuses. A client may take for ever: close() then.
  void drain(std::function<void()> on_empty);
  void close();  // what is open is told gone; nothing more is sent
  std::vector<mesh::Figure> figures() const override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace aorta::fronts
