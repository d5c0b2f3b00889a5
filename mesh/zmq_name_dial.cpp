#include "mesh/zmq_name_dial.hpp"

#include <utility>  // before asio.hpp: g++ 12 with C++20 needs it

#include <fmt/format.h>
#include <zmq.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/result.hpp"

namespace aorta::mesh {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr auto look_up_again = std::chrono::milliseconds(500);  // while there is no connection
constexpr std::string_view scheme = "tcp://";

struct HostAndPort {
  std::string host, port;
};

HostAndPort split(const std::string& endpoint) {
  const std::size_t colon = endpoint.rfind(':');
  return {endpoint.substr(scheme.size(), colon - scheme.size()), endpoint.substr(colon + 1)};
}

}  // namespace

struct NameDial::Impl : std::enable_shared_from_this<NameDial::Impl> {
  Impl(WireLoop& loop, void* given_socket, NameDialOptions given)
      : options(std::move(given)), socket(given_socket), resolver(loop.io()), timer(loop.io()) {
    const std::string events = fmt::format("inproc://events-of-{}", socket);
    AORTA_CHECK(zmq_socket_monitor(socket, events.c_str(),
                                   ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED) == 0,
                "libzmq tells of its connections");
    monitor = zmq_socket(loop.zmq_context(), ZMQ_PAIR);
    AORTA_CHECK(monitor != nullptr && zmq_connect(monitor, events.c_str()) == 0,
                "libzmq's events can be heard");
    int fd = -1;
    std::size_t size = sizeof fd;
    zmq_getsockopt(monitor, ZMQ_FD, &fd, &size);
    descriptor.emplace(loop.io(), fd);
  }

  void close() {
    timer.cancel();
    resolver.cancel();
    descriptor->release();
    descriptor.reset();
    zmq_socket_monitor(socket, nullptr, 0);
    zmq_close(std::exchange(monitor, nullptr));
  }

  void wait() {
    descriptor->async_wait(asio::posix::descriptor_base::wait_read,
                           [self = shared_from_this()](const boost::system::error_code& error) {
                             if (error || !self->monitor) return;
                             self->read_events();
                             if (!self->up) self->look_up();
                             self->wait();
                           });
  }

  // All that have come, since the descriptor tells of new ones only. An event is two frames: its
  // number and a value, then the endpoint.
  void read_events() {
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    while (zmq_msg_recv(&frame, monitor, ZMQ_DONTWAIT) >= 0) {
      if (!zmq_msg_more(&frame)) continue;
      std::uint16_t event = 0;
      std::memcpy(&event, zmq_msg_data(&frame), sizeof event);
      up = event == ZMQ_EVENT_CONNECTED;
    }
    zmq_msg_close(&frame);
  }

  void look_up() {
    if (std::exchange(looking, true)) return;
    auto found = [self = shared_from_this()](const std::string& address) {
      self->looking = false;
      if (self->monitor) self->found(address);
    };
    if (options.look_up) return options.look_up(options.host, std::move(found));
    resolver.async_resolve(
        tcp::v4(), options.host, options.port, tcp::resolver::numeric_service,
        [found](const boost::system::error_code& error, const tcp::resolver::results_type& all) {
          found(error || all.empty() ? "" : all.begin()->endpoint().address().to_string());
        });
  }

  void found(const std::string& address) {
    if (up) return;
    const std::string endpoint = fmt::format("tcp://{}:{}", address, options.port);
    if (!address.empty() && endpoint != dialled) {
      if (!dialled.empty()) zmq_disconnect(socket, dialled.c_str());
      zmq_connect(socket, endpoint.c_str());
      dialled = endpoint;
    }
    timer.expires_after(look_up_again);
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error && self->monitor && !self->up) self->look_up();
    });
  }

  NameDialOptions options;
  void* socket;
  void* monitor = nullptr;
  std::optional<asio::posix::stream_descriptor> descriptor;
  tcp::resolver resolver;
  asio::steady_timer timer;
  std::string dialled;  // the endpoint that libzmq keeps connecting to
  bool up = false, looking = false;
};

NameDial::NameDial(WireLoop& loop, void* zmq_socket, NameDialOptions options)
    : impl_(std::make_shared<Impl>(loop, zmq_socket, std::move(options))) {
  impl_->wait();
  impl_->look_up();
}

NameDial::~NameDial() { impl_->close(); }

bool dials_a_name(const std::string& endpoint) {
  if (!endpoint.starts_with(scheme)) return false;
  const std::string host = split(endpoint).host;
  boost::system::error_code error;
  asio::ip::make_address(host, error);
  return error && host.find_first_of("[]*;") == host.npos;
}

NameDialOptions to_name_dial(const std::string& endpoint) {
  auto [host, port] = split(endpoint);
  return {.host = std::move(host), .port = std::move(port)};
}

}  // namespace aorta::mesh
