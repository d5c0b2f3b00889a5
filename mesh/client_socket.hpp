#pragma once
// A blocking DEALER to a service's own socket, for tools. It needs no loop; every wait has a
// deadline.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "mesh/loop_socket.hpp"
#include "mesh/messages.hpp"

namespace aorta::mesh {

// What to do about an ipc:// endpoint where nobody listens: say so, or wait for somebody.
enum class IfAbsent { fail, wait };

struct ClientSocketOptions {
  std::string routing_id;  // empty: libzmq draws one
  IfAbsent if_absent = IfAbsent::fail;
  std::optional<CurveClient> curve;  // for TCP
};

class ClientSocket {
 public:
  // An error when the endpoint is malformed, or an ipc:// one has no listener (IfAbsent::fail).
  static Result<ClientSocket> connect(const std::string& endpoint,
                                      const ClientSocketOptions& options = {});
  ClientSocket(ClientSocket&&) noexcept;
  ~ClientSocket();

  // Errors: unavailable when the deadline has passed or a signal came.
  Result<void> send(const Message& message, TimePoint deadline);
  Result<Message> receive_message(TimePoint deadline);

 private:
  struct Impl;
  explicit ClientSocket(std::unique_ptr<Impl> impl);
  Result<void> send_frames(std::string_view type, std::string_view body, TimePoint deadline);
  Result<Frames> receive_frames(TimePoint deadline);
  std::unique_ptr<Impl> impl_;
};

// A tool's call: says hello to the service at `endpoint`, sends the control, answers the reply.
struct ControlCall {
  std::string endpoint;
  std::string verb, argument;
  Duration timeout{};
  IfAbsent if_absent = IfAbsent::fail;
  std::optional<CurveClient> curve;  // for TCP
};
Result<ControlReply> call_control(const ControlCall& call);

}  // namespace aorta::mesh
