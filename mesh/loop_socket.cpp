#include "mesh/loop_socket.hpp"

#include <utility>  // before asio.hpp: g++ 12 with C++20 needs it

#include <fmt/format.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstdint>
#include <optional>

#include "mesh/endpoint.hpp"
#include "mesh/zmq_name_dial.hpp"

namespace aorta::mesh {
namespace {

namespace asio = boost::asio;

constexpr int linger_ms = 500;
constexpr int heartbeat_ms = 2000;  // ZMTP's: finds connections that died without a FIN
constexpr int heartbeat_timeout_ms = 6000;
// A stranger must have shaken hands by then: until it has, it holds a file descriptor.
constexpr int handshake_ms = 10'000;
constexpr int reconnect_ms = 20, reconnect_max_ms = 500;
constexpr int reconnect_here_ms = 2;  // at first: services of one host start at the same time

void set_option(void* socket, int option, int value) {
  const int rc = zmq_setsockopt(socket, option, &value, sizeof value);
  AORTA_CHECK(rc == 0, "libzmq refused a socket option");
}

// As who authenticated it; empty where nobody asks.
std::string user_of(zmq_msg_t& frame) {
  const char* user = zmq_msg_gets(&frame, "User-Id");
  return user != nullptr ? user : "";
}

Error bind_error(const std::string& endpoint, int error) {
  switch (error) {
    case EADDRINUSE:
      return {ErrorCode::conflict,
              fmt::format("{} is in use: another program listens there; stop it or choose another "
                          "port (--port-base)",
                          endpoint)};
    case EADDRNOTAVAIL:
    case ENODEV:
      return {ErrorCode::invalid_argument,
              fmt::format("{}: this machine has no such address; 0.0.0.0 means all", endpoint)};
    case EACCES:
      return {ErrorCode::io,
              fmt::format("{}: not allowed; ports below 1024 need a privilege", endpoint)};
    default:
      return {ErrorCode::io, fmt::format("{}: {}", endpoint, zmq_strerror(error))};
  }
}

}  // namespace

struct LoopSocket::Impl : std::enable_shared_from_this<LoopSocket::Impl> {
  Impl(WireLoop& given_loop, LoopSocketOptions given, OnMessages handler)
      : loop(given_loop),
        io(loop.io()),
        options(std::move(given)),
        on_messages(std::move(handler)) {
    const bool router = options.kind == LoopSocketOptions::Kind::router;
    socket = zmq_socket(loop.zmq_context(), router ? ZMQ_ROUTER : ZMQ_DEALER);
    AORTA_CHECK(socket != nullptr, "libzmq has no more sockets");
    configure(router);
    int fd = -1;
    std::size_t size = sizeof fd;
    zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
    descriptor.emplace(io, fd);
  }

  void configure(bool router) {
    const std::int64_t max_frame = options.max_frame_bytes;
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_frame, sizeof max_frame);
    set_option(socket, ZMQ_LINGER, linger_ms);
    set_option(socket, ZMQ_SNDHWM, static_cast<int>(options.send_queue_messages));
    set_option(socket, ZMQ_RCVHWM, static_cast<int>(options.receive_queue_messages));
    set_option(socket, ZMQ_HANDSHAKE_IVL, handshake_ms);
    set_option(socket, ZMQ_HEARTBEAT_IVL, heartbeat_ms);
    set_option(socket, ZMQ_HEARTBEAT_TIMEOUT, heartbeat_timeout_ms);
    if (options.curve_server) use_curve(socket, *options.curve_server);
    if (options.curve_client) use_curve(socket, *options.curve_client);
    if (router) {
      set_option(socket, ZMQ_ROUTER_MANDATORY, 1);
      set_option(socket, ZMQ_ROUTER_HANDOVER, options.handover ? 1 : 0);
      return;
    }
    set_option(socket, ZMQ_RECONNECT_IVL, reconnect_ms);
    set_option(socket, ZMQ_RECONNECT_IVL_MAX, reconnect_max_ms);
    if (!options.routing_id.empty()) {
      const int rc = zmq_setsockopt(socket, ZMQ_ROUTING_ID, options.routing_id.data(),
                                    options.routing_id.size());
      AORTA_CHECK(rc == 0, "a routing id has 1 to 255 bytes");
    }
  }

  // The descriptor is libzmq's: it is released, never closed.
  void close() {
    if (!socket) return;
    by_name.reset();
    descriptor->release();
    descriptor.reset();
    listeners.clear();  // our sockets' files: a successor may bind before libzmq has closed
    zmq_close(std::exchange(socket, nullptr));
  }

  void wait() {
    descriptor->async_wait(asio::posix::descriptor_base::wait_read,
                           [self = shared_from_this()](const boost::system::error_code& error) {
                             if (error || !self->socket) return;
                             self->turn();
                             if (self->socket) self->wait();
                           });
  }

  // Reads EVENTS once after all that a turn of the loop sends, binds or connects.
  void check_later() {
    if (std::exchange(check_pending, true)) return;
    asio::post(io, [self = shared_from_this()] {
      self->check_pending = false;
      if (self->socket && self->readable()) self->turn();
    });
  }

  bool readable() {
    int events = 0;
    std::size_t size = sizeof events;
    zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size);
    return (events & ZMQ_POLLIN) != 0;
  }

  void turn() {
    do {
      std::vector<Frames> batch;
      const bool more = read_batch(batch);
      if (!batch.empty()) on_messages(batch);
      if (!socket) return;  // on_messages() destroyed us
      if (more) return check_later();
    } while (readable());
  }

  // Answers whether the batch is full, and there may be more.
  bool read_batch(std::vector<Frames>& batch) {
    for (std::uint32_t n = 0; n < options.batch_messages; ++n) {
      Frames frames;
      if (!receive(frames)) return false;
      if (frames.size() > options.max_frames) {
        ++counts.too_many_frames;
      } else {
        ++counts.received;
        batch.push_back(std::move(frames));
      }
    }
    return true;
  }

  // A whole message, but of too many frames only the first max_frames + 1.
  bool receive(Frames& frames) {
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    bool more = true;
    while (more) {
      if (zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) < 0) {
        if (errno == EINTR) continue;
        break;  // EAGAIN; within a message it cannot be
      }
      if (options.tells_user && frames.empty()) frames.emplace_back();
      // Every frame of a message tells it, except the routing id if ZMQ_EVENTS was read before.
      if (options.tells_user && frames.front().empty()) frames.front() = user_of(frame);
      if (frames.size() <= options.max_frames) {
        frames.emplace_back(static_cast<const char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
      }
      more = zmq_msg_more(&frame) != 0;
    }
    zmq_msg_close(&frame);
    return !frames.empty();
  }

  SendResult send(std::span<const std::string_view> frames) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const int flags = ZMQ_DONTWAIT | (i + 1 < frames.size() ? ZMQ_SNDMORE : 0);
      int rc = -1;
      do {
        rc = zmq_send(socket, frames[i].data(), frames[i].size(), flags);
      } while (rc < 0 && errno == EINTR);
      if (rc >= 0) continue;
      if (errno == EHOSTUNREACH) {
        ++counts.unreachable;
        return SendResult::unreachable;
      }
      AORTA_CHECK(errno == EAGAIN && i == 0, "libzmq takes a message whole or not at all");
      ++counts.full;
      return SendResult::full;
    }
    ++counts.sent;
    return SendResult::sent;
  }

  WireLoop& loop;
  asio::io_context& io;
  LoopSocketOptions options;
  OnMessages on_messages;
  void* socket = nullptr;
  std::optional<asio::posix::stream_descriptor> descriptor;
  std::vector<IpcListener> listeners;
  std::optional<NameDial> by_name;
  bool check_pending = false;
  Counts counts;
};

LoopSocket::LoopSocket(WireLoop& loop, LoopSocketOptions options, OnMessages on_messages)
    : impl_(std::make_shared<Impl>(loop, std::move(options), std::move(on_messages))) {
  impl_->wait();
}

LoopSocket::~LoopSocket() { impl_->close(); }

Result<std::string> LoopSocket::bind(const std::string& endpoint) {
  if (auto checked = check_endpoint(endpoint); !checked.ok()) return checked.error();
  std::optional<IpcListener> listener;
  if (const std::string path(ipc_path(endpoint)); !path.empty()) {
    auto opened = IpcListener::open(path);
    if (!opened.ok()) return opened.error();
    listener.emplace(std::move(opened).value());
    set_option(impl_->socket, ZMQ_USE_FD, listener->fd());
  }
  const int rc = zmq_bind(impl_->socket, endpoint.c_str());
  const int error = errno;
  if (listener) {
    set_option(impl_->socket, ZMQ_USE_FD, -1);
    if (rc == 0) {
      listener->release_fd();  // libzmq closes it
      impl_->listeners.push_back(std::move(*listener));
    }
  }
  if (rc != 0) return bind_error(endpoint, error);
  impl_->check_later();
  std::array<char, 256> bound{};
  std::size_t size = bound.size();
  zmq_getsockopt(impl_->socket, ZMQ_LAST_ENDPOINT, bound.data(), &size);
  return std::string(bound.data());
}

Result<void> LoopSocket::connect(const std::string& endpoint) {
  if (auto checked = check_endpoint(endpoint); !checked.ok()) return checked.error();
  if (!ipc_path(endpoint).empty()) {
    set_option(impl_->socket, ZMQ_RECONNECT_IVL, reconnect_here_ms);
  }
  if (dials_a_name(endpoint)) {
    impl_->by_name.emplace(impl_->loop, impl_->socket, to_name_dial(endpoint));
  } else if (zmq_connect(impl_->socket, endpoint.c_str()) != 0) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("{}: cannot be dialled: {}", endpoint, zmq_strerror(errno))};
  }
  impl_->check_later();
  return {};
}

SendResult LoopSocket::send(std::span<const std::string_view> frames) {
  impl_->check_later();
  return impl_->send(frames);
}

const LoopSocket::Counts& LoopSocket::counts() const { return impl_->counts; }

}  // namespace aorta::mesh
