#include "actors/fronts/http_front.hpp"

#include <fmt/format.h>

#include <ctime>
#include <stdexcept>

#include "actors/fronts/http_connection.hpp"

#include <boost/asio/post.hpp>

namespace aorta::fronts {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

// Clients beyond the limit who are being told so; those beyond are closed without a word.
constexpr std::size_t most_refusals = 64;
constexpr auto accept_again = std::chrono::milliseconds(100);  // when descriptors have run out

}  // namespace

struct HttpFront::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& io, admission::ClientPort& port, HttpOptions options,
       std::shared_ptr<const mesh::ApiKeys> keys)
      : hub{io, port, std::move(options), std::move(keys),
            HttpRoutes(port, hub.options, std::time(nullptr))},
        acceptor(io),
        pause(io) {}

  void listen() {
    const HttpOptions& options = hub.options;
    const auto fail = [&](const std::string& why) {
      throw std::runtime_error(
          fmt::format("cannot listen for HTTP at {}:{}: {}", options.bind, options.port, why));
    };
    error_code error;
    const auto address = asio::ip::make_address(options.bind, error);
    if (error) fail("not an IP address; use 127.0.0.1 or ::1 for this host only");
    const tcp::endpoint endpoint(address, options.port);
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error == asio::error::address_in_use) {
      fail("the port is in use; stop who holds it or choose another");
    }
    if (error) fail(error.message());
    port = acceptor.local_endpoint().port();
    accept();
  }

  void accept() {
    acceptor.async_accept([weak = weak_from_this()](error_code error, tcp::socket socket) {
      const auto self = weak.lock();
      if (!self || !self->acceptor.is_open()) return;
      if (error) return self->accept_later();
      self->add(std::move(socket));
      self->accept();
    });
  }

  void accept_later() {
    pause.expires_after(accept_again);
    pause.async_wait([weak = weak_from_this()](error_code error) {
      const auto self = weak.lock();
      if (self && !error && self->acceptor.is_open()) self->accept();
    });
  }

  void add(tcp::socket socket) {
    const std::size_t open = hub.connections.size();
    const bool full = open >= hub.options.max_connections;
    ++(full ? hub.refused : hub.accepted);
    if (open >= hub.options.max_connections + most_refusals) return;
    const auto connection = std::make_shared<HttpConnection>(std::move(socket), hub);
    hub.connections.insert(connection);
    full ? connection->start_refusing() : connection->start();
  }

  void stop_listening() {
    error_code ignored;
    acceptor.close(ignored);
    pause.cancel();
  }

  std::vector<std::shared_ptr<HttpConnection>> all() const {
    return {hub.connections.begin(), hub.connections.end()};
  }

  std::vector<mesh::Figure> figures() const {
    const auto figure = [](const char* name, std::uint64_t value, mesh::FigureKind kind) {
      return mesh::Figure{name, "", static_cast<double>(value), kind};
    };
    using enum mesh::FigureKind;
    return {
        figure("aorta_http_connections", hub.connections.size(), gauge),
        figure("aorta_http_streams", hub.exchanges.size(), gauge),
        figure("aorta_http_connections_total", hub.accepted, counter),
        figure("aorta_http_connections_refused_total", hub.refused, counter),
        figure("aorta_http_requests_total", hub.requests, counter),
        figure("aorta_http_errors_total", hub.errors, counter),
        figure("aorta_http_unauthorized_total", hub.unauthorized, counter),
    };
  }

  HttpHub hub;
  tcp::acceptor acceptor;
  asio::steady_timer pause;
  std::uint16_t port = 0;
};

HttpFront::HttpFront(asio::io_context& io, admission::ClientPort& port, HttpOptions options,
                     std::shared_ptr<const mesh::ApiKeys> keys)
    : impl_(std::make_shared<Impl>(io, port, std::move(options), std::move(keys))) {}

HttpFront::~HttpFront() {
  impl_->hub.tells_admission = false;
  close();
}

void HttpFront::use_tls(std::shared_ptr<const TlsContext> tls) { impl_->hub.tls = std::move(tls); }

void HttpFront::start(ConnectionId first) {
  impl_->hub.next_id = first.value;
  impl_->listen();
}

std::uint16_t HttpFront::port() const { return impl_->port; }

void HttpFront::deliver(ConnectionId connection, const admission::ClientEvent& event) {
  const auto entry = impl_->hub.exchanges.find(connection.value);
  if (entry != impl_->hub.exchanges.end()) entry->second->deliver(event);
}

void HttpFront::drain(std::function<void()> on_empty) {
  impl_->stop_listening();
  impl_->hub.draining = true;
  if (impl_->hub.connections.empty()) {
    asio::post(impl_->hub.io, std::move(on_empty));
    return;
  }
  impl_->hub.on_empty = std::move(on_empty);
  for (const auto& connection : impl_->all()) connection->drain();
}

void HttpFront::close() {
  impl_->stop_listening();
  for (const auto& connection : impl_->all()) connection->close();
}

std::vector<mesh::Figure> HttpFront::figures() const { return impl_->figures(); }

}  // namespace aorta::fronts
