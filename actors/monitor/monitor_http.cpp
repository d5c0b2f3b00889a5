#include "actors/monitor/monitor_http.hpp"

#include <fmt/format.h>

#include <optional>
#include <stdexcept>
#include <utility>
// <utility> before Boost.Asio: g++ 12 with C++20 needs it so.
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "actors/fronts/key_check.hpp"

namespace aorta::monitor {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using beast::error_code;

constexpr const char* prometheus_type = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace

struct MonitorHttp::Impl : std::enable_shared_from_this<MonitorHttp::Impl> {
  Impl(asio::io_context& io, const MonitorHttpOptions& options,
       std::function<std::string()> metrics)
      : options(options), metrics(std::move(metrics)), acceptor(io) {
    error_code error;
    const auto address = asio::ip::make_address(options.bind, error);
    if (error) {
      throw std::runtime_error(fmt::format("monitor.bind: '{}' is no IP address", options.bind));
    }
    const tcp::endpoint endpoint(address, options.port);
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      throw std::runtime_error(fmt::format(
          "the monitor cannot listen on {}:{} ({}): choose other ports with --port-base",
          options.bind, options.port, error.message()));
    }
  }

  void accept() {
    acceptor.async_accept([self = shared_from_this()](error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error && self->connections < self->options.max_connections)
        self->serve(std::move(socket));
      self->accept();
    });
  }
  void serve(tcp::socket socket);
  bool may_read(const http::request<http::empty_body>& request) const;
  http::response<http::string_body> answer(const http::request<http::empty_body>& request) const;

  MonitorHttpOptions options;
  std::function<std::string()> metrics;
  tcp::acceptor acceptor;
  std::uint32_t connections = 0;
};

namespace {

using Answer =
    std::function<http::response<http::string_body>(const http::request<http::empty_body>&)>;

// One client: requests one after another until it closes, fails or takes too long.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, const MonitorHttpOptions& options, Answer answer,
             std::function<void()> on_end)
      : stream_(std::move(socket)),
        options_(options),
        answer_(std::move(answer)),
        on_end_(std::move(on_end)) {
    error_code ignored;
    stream_.socket().set_option(tcp::no_delay(true), ignored);
  }
  ~Connection() { on_end_(); }

  void read() {
    parser_.emplace();
    parser_->header_limit(options_.max_header_bytes);
    parser_->body_limit(0);
    stream_.expires_after(std::chrono::milliseconds(options_.timeout_ms));
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, std::size_t) {
                       if (!error) self->write();
                     });
  }

 private:
  void write() {
    response_ = answer_(parser_->get());
    response_.keep_alive(parser_->get().keep_alive());
    response_.prepare_payload();
    stream_.expires_after(std::chrono::milliseconds(options_.timeout_ms));
    http::async_write(stream_, response_,
                      [self = shared_from_this()](error_code error, std::size_t) {
                        if (!error && self->response_.keep_alive()) self->read();
                      });
  }

  beast::tcp_stream stream_;
  MonitorHttpOptions options_;
  Answer answer_;
  std::function<void()> on_end_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::empty_body>> parser_;
  http::response<http::string_body> response_;
};

}  // namespace

void MonitorHttp::Impl::serve(tcp::socket socket) {
  ++connections;
  const std::weak_ptr<Impl> weak = weak_from_this();
  std::make_shared<Connection>(
      std::move(socket), options,
      [self = shared_from_this()](const auto& request) { return self->answer(request); },
      [weak] {
        if (auto impl = weak.lock()) --impl->connections;
      })
      ->read();
}

bool MonitorHttp::Impl::may_read(const http::request<http::empty_body>& request) const {
  if (!options.keys) return true;
  const auto header = request[http::field::authorization];
  std::string tenant;
  return !fronts::check_key(*options.keys, fronts::bearer_key({header.data(), header.size()}), "",
                            tenant);
}

http::response<http::string_body> MonitorHttp::Impl::answer(
    const http::request<http::empty_body>& request) const {
  http::response<http::string_body> response(http::status::ok, request.version());
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  if (request.method() != http::verb::get) {
    response.result(http::status::method_not_allowed);
    response.set(http::field::allow, "GET");
    response.body() = "only GET is answered here\n";
  } else if (request.target() == "/metrics" && !may_read(request)) {
    response.result(http::status::unauthorized);
    response.set(http::field::www_authenticate, "Bearer");
    response.body() = "send an API key as 'Authorization: Bearer KEY'\n";
  } else if (request.target() == "/metrics") {
    response.set(http::field::content_type, prometheus_type);
    response.body() = metrics();
  } else if (request.target() == "/health") {
    response.body() = "ok\n";
  } else {
    response.result(http::status::not_found);
    response.body() = "here are /metrics and /health\n";
  }
  return response;
}

MonitorHttp::MonitorHttp(asio::io_context& io, const MonitorHttpOptions& options,
                         std::function<std::string()> metrics)
    : impl_(std::make_shared<Impl>(io, options, std::move(metrics))) {
  impl_->accept();
}

MonitorHttp::~MonitorHttp() {
  error_code ignored;
  impl_->acceptor.close(ignored);
}

std::uint16_t MonitorHttp::port() const { return impl_->acceptor.local_endpoint().port(); }

}  // namespace aorta::monitor
