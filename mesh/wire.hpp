#pragma once
// One service's sockets: a ROUTER that others dial, a DEALER for each binder it dials. Frames are
// ["AOR1", number, body] both ways (after the routing id on a ROUTER); the number is two bytes, big
// endian. What cannot be read is dropped, counted and named in the log.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "mesh/loop_socket.hpp"
#include "mesh/mesh_keys.hpp"
#include "mesh/messages.hpp"
#include "mesh/service.hpp"

namespace aorta::mesh {

struct WireOptions {
  std::uint32_t max_message_bytes = 16u << 20;
  std::uint32_t send_queue_messages = 10000;  // per peer
  std::shared_ptr<const MeshKeys> keys;       // for TCP; null: peers are taken at their word
};

class Wire {
 public:
  struct Incoming {
    Sender from;  // incarnation 0: the binder that we dialled by this name
    Message message;
  };
  using OnBatch = std::function<void(std::vector<Incoming> batch)>;

  Wire(WireLoop& loop, PeerId self, WireOptions options, OnBatch on_batch);
  ~Wire();

  Result<std::string> bind(const std::string& endpoint);                   // see LoopSocket::bind
  Result<void> dial(const std::string& name, const std::string& address);  // replaces
  void hang_up(const std::string& name);
  // incarnation 0: by the DEALER of that name; else to whoever dialled us as that life, or by the
  // DEALER of that name if nobody did.
  SendResult send(const PeerId& to, const Message& message);

  struct Counts {
    std::uint64_t received = 0, sent = 0, garbage = 0;
    std::uint64_t full = 0, unreachable = 0, too_large = 0;  // not sent
  };
  const Counts& counts() const { return counts_; }

 private:
  void open_router(bool tcp);
  void on_frames(const std::string& dialled_name, std::vector<Frames>& batch);
  std::optional<Sender> take_sender(std::span<const std::string>& frames) const;

  WireLoop& loop_;
  PeerId self_;
  WireOptions options_;
  OnBatch on_batch_;
  std::unique_ptr<LoopSocket> router_;  // with the first bind
  bool proves_roles_ = false;           // the router is under keys
  std::map<std::string, std::unique_ptr<LoopSocket>> dealers_;
  Counts counts_;
};

}  // namespace aorta::mesh
