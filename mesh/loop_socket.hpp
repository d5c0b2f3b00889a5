#pragma once
// A ZeroMQ socket on the loop. It joins Asio by its ZMQ_FD, which is edge-triggered: after every
// turn and after every send ZMQ_EVENTS is read until nothing is left. All calls are on the loop's
// thread, and none waits.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "mesh/wire_loop.hpp"
#include "mesh/zmq_curve.hpp"

namespace aorta::mesh {

struct LoopSocketOptions {
  // router only binds; its messages begin with the sender's routing id. dealer only connects.
  enum class Kind { router, dealer } kind = Kind::router;
  std::string routing_id;  // dealer: how the binder knows us; empty: libzmq draws one
  // router: a new connection takes over the routing id of an old one. Right where peers are
  // trusted (a reconnecting service); wrong for clients, who could take each other's streams.
  bool handover = true;
  std::optional<CurveServer> curve_server;       // router
  std::optional<CurveClient> curve_client;       // dealer
  bool tells_user = false;                       // its messages begin with the ZAP user id
  std::uint32_t max_frame_bytes = 16u << 20;     // a larger one costs the sender its connection
  std::uint32_t max_frames = 8;                  // beyond: the message is dropped, counted
  std::uint32_t send_queue_messages = 10000;     // per peer; beyond: `full`
  std::uint32_t receive_queue_messages = 10000;  // per peer; beyond: the peer's queue fills up
  std::uint32_t batch_messages = 256;            // read in one turn before others have theirs
};

using Frames = std::vector<std::string>;

enum class SendResult {
  sent,         // in the peer's queue: may still be lost
  full,         // the peer does not read: dropped
  unreachable,  // router: nobody of that routing id is connected: dropped
};

class LoopSocket {
 public:
  // At least one message, at most batch_messages. May send, and may destroy the socket.
  using OnMessages = std::function<void(std::vector<Frames>& batch)>;

  LoopSocket(WireLoop& loop, LoopSocketOptions options, OnMessages on_messages);
  ~LoopSocket();  // closes; what is queued lingers for up to 500 ms
  LoopSocket(const LoopSocket&) = delete;

  // ipc://PATH, tcp://IP:PORT (port 0 or *: a free one) or inproc://NAME. Answers the endpoint as
  // bound; an error names the endpoint and what to do.
  Result<std::string> bind(const std::string& endpoint);
  // The binder may come later, leave and come back.
  Result<void> connect(const std::string& endpoint);
  SendResult send(std::span<const std::string_view> frames);
  SendResult send(std::initializer_list<std::string_view> frames) {
    return send(std::span(frames.begin(), frames.size()));
  }

  struct Counts {
    std::uint64_t received = 0, sent = 0;
    std::uint64_t too_many_frames = 0;        // dropped when received
    std::uint64_t full = 0, unreachable = 0;  // dropped when sent
  };
  const Counts& counts() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace aorta::mesh
