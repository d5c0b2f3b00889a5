#include "mesh/client_socket.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include "mesh/codec.hpp"
#include "mesh/endpoint.hpp"
#include "mesh/routing_id.hpp"

namespace aorta::mesh {
namespace {

constexpr int linger_ms = 500;
constexpr Duration hello_every = std::chrono::milliseconds(200);

PeerId new_tool() {
  std::random_device random;
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since_1970).count();
  return {fmt::format("tool-{}-{:08x}", ::getpid(), random()),
          Incarnation{static_cast<std::uint64_t>(ms) << 16 | (random() & 0xffff)}};
}

// How long to wait in one poll, in ms, rounded up.
long poll_ms(TimePoint deadline) {
  const Duration left = deadline - now();
  return std::clamp<long>((left.count() + 999) / 1000, 0, 1000);
}

Result<Message> to_message(const Frames& frames) {
  if (frames.size() != 3 || frames[0] != frame_magic) {
    return Error{ErrorCode::corrupt, "what answers there does not speak aorta's protocol"};
  }
  return decode(std::string_view(frames[1]), frames[2]);
}

}  // namespace

struct ClientSocket::Impl {
  explicit Impl(std::string to) : endpoint(std::move(to)) {}
  ~Impl() {
    if (socket) zmq_close(socket);
    zmq_ctx_term(context);
  }
  // Waits until the socket can send (ZMQ_POLLOUT) or has something to read (ZMQ_POLLIN).
  Result<void> wait(short events, TimePoint deadline) {
    for (;;) {
      zmq_pollitem_t item{socket, 0, events, 0};
      const int rc = zmq_poll(&item, 1, poll_ms(deadline));
      if (rc > 0) return {};
      if (rc < 0) return Error{ErrorCode::unavailable, "interrupted by a signal"};
      if (now() >= deadline) {
        return Error{ErrorCode::unavailable, fmt::format("no answer from {} in time", endpoint)};
      }
    }
  }

  std::string endpoint;
  void* context = zmq_ctx_new();
  void* socket = nullptr;
};

ClientSocket::ClientSocket(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ClientSocket::ClientSocket(ClientSocket&&) noexcept = default;
ClientSocket::~ClientSocket() = default;

Result<ClientSocket> ClientSocket::connect(const std::string& endpoint,
                                           const ClientSocketOptions& options) {
  if (auto checked = check_endpoint(endpoint); !checked.ok()) return checked.error();
  const std::string path(ipc_path(endpoint));
  if (options.if_absent == IfAbsent::fail && !path.empty() && !is_listened_to(path)) {
    return Error{ErrorCode::unavailable,
                 fmt::format("nothing runs at {}: start the mesh with `aorta up`", endpoint)};
  }
  auto impl = std::make_unique<Impl>(endpoint);
  impl->socket = zmq_socket(impl->context, ZMQ_DEALER);
  zmq_setsockopt(impl->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
  if (!options.routing_id.empty()) {
    zmq_setsockopt(impl->socket, ZMQ_ROUTING_ID, options.routing_id.data(),
                   options.routing_id.size());
  }
  if (options.curve && is_tcp(endpoint)) use_curve(impl->socket, *options.curve);
  if (zmq_connect(impl->socket, endpoint.c_str()) != 0) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("{}: cannot be dialled: {}", endpoint, zmq_strerror(errno))};
  }
  return ClientSocket(std::move(impl));
}

Result<void> ClientSocket::send(const Message& message, TimePoint deadline) {
  return send_frames(encode_type(message), encode_body(message), deadline);
}

Result<void> ClientSocket::send_frames(std::string_view type, std::string_view body,
                                       TimePoint deadline) {
  if (auto ready = impl_->wait(ZMQ_POLLOUT, deadline); !ready.ok()) return ready;
  zmq_send(impl_->socket, frame_magic.data(), frame_magic.size(), ZMQ_SNDMORE);
  zmq_send(impl_->socket, type.data(), type.size(), ZMQ_SNDMORE);
  zmq_send(impl_->socket, body.data(), body.size(), 0);
  return {};
}

Result<Frames> ClientSocket::receive_frames(TimePoint deadline) {
  if (auto ready = impl_->wait(ZMQ_POLLIN, deadline); !ready.ok()) return ready.error();
  Frames frames;
  zmq_msg_t frame;
  zmq_msg_init(&frame);
  do {
    if (zmq_msg_recv(&frame, impl_->socket, 0) < 0) break;
    frames.emplace_back(static_cast<const char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
  } while (zmq_msg_more(&frame));
  zmq_msg_close(&frame);
  return frames;
}

Result<Message> ClientSocket::receive_message(TimePoint deadline) {
  auto frames = receive_frames(deadline);
  if (!frames.ok()) return frames.error();
  return to_message(*frames);
}

Result<ControlReply> call_control(const ControlCall& call) {
  const TimePoint deadline = now() + call.timeout;
  const PeerId self = new_tool();
  auto connected =
      ClientSocket::connect(call.endpoint, {to_routing_id(self), call.if_absent, call.curve});
  if (!connected.ok()) return connected.error();
  ClientSocket socket = std::move(connected).value();
  const Hello hello{
      .kind = ServiceKind::tool, .self = self, .pid = static_cast<std::uint32_t>(::getpid())};
  const Control control{self.incarnation.value, call.verb, call.argument};

  bool welcome = false;
  TimePoint next_hello = now();
  for (;;) {
    if (!welcome && now() >= next_hello) {
      if (auto sent = socket.send(hello, deadline); !sent.ok()) return sent.error();
      next_hello = now() + hello_every;
    }
    auto answer = socket.receive_message(welcome ? deadline : std::min(deadline, next_hello));
    if (!answer.ok()) {
      const bool hello_unanswered = !welcome && now() >= next_hello && now() < deadline;
      if (hello_unanswered) continue;
      return answer.error();
    }
    if (auto* refused = std::get_if<Refused>(&*answer)) {
      return Error{ErrorCode::unsupported, refused->reason};
    }
    if (std::holds_alternative<Who>(*answer)) welcome = false, next_hello = now();
    if (std::holds_alternative<Welcome>(*answer) && !std::exchange(welcome, true)) {
      if (auto sent = socket.send(control, deadline); !sent.ok()) return sent.error();
    }
    if (auto* reply = std::get_if<ControlReply>(&*answer); reply && reply->token == control.token) {
      return std::move(*reply);
    }
  }
}

}  // namespace aorta::mesh
