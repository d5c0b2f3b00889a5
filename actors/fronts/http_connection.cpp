#include "actors/fronts/http_connection.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include <ctime>

#include "actors/fronts/http_paths.hpp"
#include "actors/fronts/key_check.hpp"

namespace aorta::fronts {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {
constexpr std::uint32_t linger_ms = 2000;
constexpr std::size_t most_pipelined_bytes = 64u << 10;
constexpr std::size_t most_idle_capacity = 16u << 10;

void trim_capacity(std::string& buffer) {
  if (buffer.capacity() > most_idle_capacity) buffer.shrink_to_fit();
}
}  // namespace

HttpConnection::HttpConnection(tcp::socket socket, HttpHub& hub)
    : stream_(std::move(socket), hub.tls),
      hub_(hub),
      read_deadline_(hub.io),
      write_deadline_(hub.io) {}

void HttpConnection::start() {
  arm(read_deadline_, hub_.options.header_timeout_ms, &HttpConnection::on_read_deadline);
  read();
}

void HttpConnection::start_refusing() {
  refuse({503, "too_many_connections", "Too many clients are connected; try again in a moment.", "",
          1000});
}

// ── Reading ──────────────────────────────────────────────────────────────────────────────────

// At most one wait at a time, in every phase: so the client's leaving is seen at once.
void HttpConnection::read() {
  const std::size_t most = hub_.options.max_header_bytes + most_pipelined_bytes;
  if (waiting_to_read_ || client_closed_ || input_.size() >= most) return;
  waiting_to_read_ = true;
  stream_.async_wait_read([self = shared_from_this()](error_code error) {
    self->waiting_to_read_ = false;
    if (!error && self->phase_ != Phase::closed) self->on_readable();
  });
}

void HttpConnection::on_readable() {
  error_code error;
  const std::size_t bytes = stream_.read_some(asio::buffer(hub_.scratch), error);
  if (error == asio::error::would_block) return read();
  if (error && phase_ == Phase::reading && stream_.was_plain_instead()) {
    return refuse({400, "https_required", "This port speaks HTTPS: ask for https://.", "", 0});
  }
  if (error) return on_client_closed();
  if (phase_ == Phase::lingering) return read();
  input_.append(hub_.scratch.data(), bytes);
  phase_ == Phase::reading ? advance() : read();
}

void HttpConnection::on_client_closed() {
  client_closed_ = true;
  // Only an answer that needs nobody any more is still written to the end.
  if (phase_ != Phase::answering || (exchange_ && exchange_->open())) close();
}

void HttpConnection::advance() {
  while (phase_ == Phase::reading) {
    if (input_.empty() && !parser_) {
      if (client_closed_ || hub_.draining) return close();
      arm(read_deadline_, hub_.options.idle_timeout_ms, &HttpConnection::on_read_deadline);
      return read();
    }
    if (!parser_) {
      parser_ = std::make_unique<HttpParser>(hub_.options);
      arm(read_deadline_, hub_.options.header_timeout_ms, &HttpConnection::on_read_deadline);
    }
    switch (parser_->parse(input_)) {
      case HttpParser::Progress::more:
        return client_closed_ ? close() : read();
      case HttpParser::Progress::header:
        on_header();
        break;
      case HttpParser::Progress::whole:
        dispatch();
        break;
      case HttpParser::Progress::error:
        refuse(parser_->error());
        break;
    }
  }
}

void HttpConnection::on_header() {
  if (!is_let_in()) return;
  const std::uint64_t bytes = parser_->most_body_bytes();
  if (bytes == 0) return;
  if (hub_.bodies_bytes + bytes > hub_.options.max_bodies_bytes) {
    return refuse(
        {503, "overloaded", "Too many requests are on their way in; try again.", "", 1000});
  }
  hub_.bodies_bytes += body_bytes_ = bytes;
  arm(read_deadline_, hub_.options.body_timeout_ms, &HttpConnection::on_read_deadline);
  if (parser_->expects_continue()) send("HTTP/1.1 100 Continue\r\n\r\n");
}

// Before the body is read: a stranger's costs nothing.
bool HttpConnection::is_let_in() {
  tenant_ = mesh::default_tenant;
  if (is_open_to_all(parser_->method(), parser_->target())) return true;
  const auto error = check_key(*hub_.keys, bearer_key(parser_->authorization()),
                               "send it as 'Authorization: Bearer KEY'", tenant_);
  if (!error) return true;
  ++hub_.unauthorized;
  refuse(*error);
  return false;
}

void HttpConnection::on_read_deadline() {
  if (phase_ == Phase::answering) return;
  if (phase_ == Phase::lingering || !parser_) return close();
  refuse({408, "request_timeout", "The request did not arrive in time.", "", 0});
}

void HttpConnection::release_body() { hub_.bodies_bytes -= std::exchange(body_bytes_, 0); }

// ── Answering ────────────────────────────────────────────────────────────────────────────────

void HttpConnection::dispatch() {
  phase_ = Phase::answering;
  read_deadline_.cancel();
  framing_ = {};
  framing_.keep_alive = parser_->keep_alive() && !hub_.draining;
  framing_.http_1_0 = parser_->http_1_0();
  HttpRequest request = parser_->take();
  request.tenant = tenant_;
  parser_.reset();
  release_body();
  ++hub_.requests;
  framing_.head_only = request.method == "HEAD";
  auto routed = hub_.routes.route(request);
  if (auto* response = std::get_if<HttpResponse>(&routed)) return respond(std::move(*response));

  auto& opening = std::get<Opening>(routed);
  id_ = {hub_.next_id++};
  hub_.exchanges.emplace(id_.value, this);
  exchange_.emplace(*this, std::move(opening.plan), std::time(nullptr));
  read();
  // Last, since admission may answer before it returns.
  if (auto* generate = std::get_if<admission::GenerateRequest>(&opening.call)) {
    hub_.port.generate(id_, std::move(*generate));
  } else {
    hub_.port.resume(id_, std::move(std::get<admission::ResumeRequest>(opening.call)));
  }
}

// The request can't be read any further: the error, then the end of the connection.
void HttpConnection::refuse(ApiError error) {
  phase_ = Phase::answering;
  read_deadline_.cancel();
  framing_ = {};
  framing_.keep_alive = false;
  framing_.head_only = parser_ && parser_->method() == "HEAD";
  parser_.reset();
  release_body();
  respond(error_response(error));
}

void HttpConnection::deliver(const admission::ClientEvent& event) {
  if (exchange_ && !doomed_) exchange_->on(event);
}

void HttpConnection::respond(HttpResponse response) {
  if (response.status >= 400) ++hub_.errors;
  answered_ = true;
  send(encode_response(response, framing_));
}

void HttpConnection::begin_stream(HttpResponse head) {
  if (framing_.http_1_0) framing_.keep_alive = false;
  send(encode_stream_head(head, framing_));
}

void HttpConnection::stream(std::string_view text) { send(encode_stream_piece(text, framing_)); }

void HttpConnection::end_stream() {
  answered_ = true;
  send(encode_stream_end(framing_));
}

void HttpConnection::finish_answer() {
  answered_ = false;
  if (exchange_) hub_.exchanges.erase(id_.value);
  exchange_.reset();
  out_.clear();
  writing_.clear();
  written_ = 0;
  for (std::string* buffer : {&out_, &writing_, &input_}) trim_capacity(*buffer);
  if (!framing_.keep_alive) return linger();
  phase_ = Phase::reading;
  advance();
}

void HttpConnection::linger() {
  if (client_closed_) return close();
  phase_ = Phase::lingering;
  input_.clear();
  stream_.shutdown_send();
  arm(read_deadline_, linger_ms, &HttpConnection::on_read_deadline);
  read();
}

void HttpConnection::drain() {
  if (phase_ == Phase::reading && !parser_ && input_.empty()) close();
}

void HttpConnection::close() {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  stream_.close();
  read_deadline_.cancel();
  write_deadline_.cancel();
  release_body();
  if (exchange_) hub_.exchanges.erase(id_.value);
  const auto self = shared_from_this();
  hub_.connections.erase(self);
  if (!hub_.tells_admission) return;
  if (exchange_ && exchange_->open()) {
    hub_.port.gone(id_);
  } else {
    release_hold();
  }
  if (hub_.draining && hub_.connections.empty() && hub_.on_empty) {
    asio::post(hub_.io, std::exchange(hub_.on_empty, nullptr));
  }
}

// ── Writing ──────────────────────────────────────────────────────────────────────────────────

void HttpConnection::send(std::string_view bytes) {
  if (phase_ == Phase::closed || doomed_) return;
  out_ += bytes;
  bound_unsent();
  write();
}

// Admission is never called from within deliver(), which this may be: so both ends of patience
// come in a turn of their own.
void HttpConnection::bound_unsent() {
  if (!exchange_ || answered_) return;  // an answer that is complete grows no more
  if (unsent() > hub_.options.max_unsent_bytes) {
    doomed_ = true;
    asio::post(hub_.io, [self = shared_from_this()] { self->close(); });
  } else if (unsent() > hub_.options.hold_bytes && !over_hold_) {
    over_hold_ = true;
    asio::post(hub_.io, [self = shared_from_this()] {
      if (self->phase_ == Phase::closed || !self->over_hold_ || self->held_) return;
      self->held_ = true;
      self->hub_.port.hold(self->id_, true);
    });
  }
}

void HttpConnection::release_hold() {
  over_hold_ = false;
  if (std::exchange(held_, false)) hub_.port.hold(id_, false);
}

void HttpConnection::write() {
  if (write_in_flight_ || (out_.empty() && !answered_)) return;
  writing_.swap(out_);
  out_.clear();
  written_ = 0;
  write_some();
}

void HttpConnection::write_some() {
  write_in_flight_ = true;
  arm(write_deadline_, hub_.options.write_timeout_ms, &HttpConnection::close);
  stream_.async_write_some(asio::buffer(writing_) + written_,
                           [self = shared_from_this()](error_code error, std::size_t bytes) {
                             if (self->phase_ == Phase::closed) return;
                             if (error) return self->close();
                             self->on_written(bytes);
                           });
}

void HttpConnection::on_written(std::size_t bytes) {
  written_ += bytes;
  // Still in flight here: admission may answer at once, and that only adds to out_.
  if (over_hold_ && unsent() <= hub_.options.hold_bytes / 4) release_hold();
  write_in_flight_ = false;
  if (written_ < writing_.size()) return write_some();
  write_deadline_.cancel();
  if (!out_.empty()) return write();
  if (answered_) finish_answer();
}

// ── Time ─────────────────────────────────────────────────────────────────────────────────────

void HttpConnection::arm(asio::steady_timer& timer, std::uint32_t ms, Handler handler) {
  timer.expires_after(std::chrono::milliseconds(ms));
  timer.async_wait([self = shared_from_this(), &timer, handler](error_code error) {
    // An expiry may be on its way already when the timer is set anew.
    if (error || self->phase_ == Phase::closed) return;
    if (timer.expiry() > asio::steady_timer::clock_type::now()) return;
    (self.get()->*handler)();
  });
}

}  // namespace aorta::fronts
