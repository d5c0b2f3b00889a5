#include "actors/fronts/http_parser.hpp"

#include <fmt/format.h>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

namespace aorta::fronts {

namespace http = boost::beast::http;
using boost::beast::error_code;

namespace {

// "0\r\n\r\n": so much of a body in chunks is always still to come. Beast is asked no sooner; it
// asserts that an end which it saw the beginning of is longer.
constexpr std::size_t shortest_chunked_end = 5;

ApiError bad_request(const std::string& why) {
  return {400, "bad_request", "This is not an HTTP request: " + why + ".", "", 0};
}

ApiError error_of(const error_code& error, const HttpOptions& options) {
  if (error == http::error::header_limit) {
    return {431, "header_too_large",
            fmt::format("The header is larger than {} bytes.", options.max_header_bytes), "", 0};
  }
  if (error == http::error::body_limit) {
    return {413, "body_too_large",
            fmt::format("The body is larger than {} bytes.", options.max_body_bytes), "", 0};
  }
  if (error == http::error::bad_version) {
    return {505, "bad_version", "Only HTTP/1.1 and HTTP/1.0 are spoken here.", "", 0};
  }
  return bad_request(error.message());
}

}  // namespace

struct HttpParser::Beast {
  http::request_parser<http::string_body> parser;
};

HttpParser::HttpParser(const HttpOptions& options)
    : options_(options), beast_(std::make_unique<Beast>()) {
  beast_->parser.header_limit(options.max_header_bytes);
  beast_->parser.body_limit(options.max_body_bytes);
}

HttpParser::~HttpParser() = default;

HttpParser::Progress HttpParser::fail(ApiError error) {
  error_ = std::move(error);
  return Progress::error;
}

HttpParser::Progress HttpParser::parse(std::string& input) {
  auto& parser = beast_->parser;
  while (!parser.is_done()) {
    if (header_told_ && parser.chunked() && input.size() < shortest_chunked_end) {
      return Progress::more;
    }
    error_code error;
    const std::size_t used =
        parser.put(boost::asio::const_buffer(input.data(), input.size()), error);
    input.erase(0, used);
    if (error == http::error::need_more) {
      error = {};
      // Chunk headers and trailers must fit as a header does.
      if (used == 0 && input.size() >= options_.max_header_bytes) error = http::error::header_limit;
      if (used == 0 && !error) return Progress::more;
    }
    if (!header_told_) header_bytes_ += used;
    // Beast looks at the limit only when it waits for more.
    if (!error && header_bytes_ > options_.max_header_bytes) error = http::error::header_limit;
    if (error) return fail(error_of(error, options_));
    if (parser.is_header_done() && !header_told_) {
      header_told_ = true;
      if (!http_1_0() && parser.get().find(http::field::host) == parser.get().end()) {
        return fail(bad_request("the Host header is missing"));
      }
      parser.eager(true);
      return Progress::header;
    }
    if (input.empty() && !parser.is_done()) return Progress::more;
  }
  return Progress::whole;
}

bool HttpParser::keep_alive() const { return beast_->parser.keep_alive(); }
bool HttpParser::http_1_0() const { return beast_->parser.get().version() < 11; }

bool HttpParser::expects_continue() const {
  return boost::beast::iequals(beast_->parser.get()[http::field::expect], "100-continue");
}

std::string_view HttpParser::method() const {
  const auto method = beast_->parser.get().method_string();
  return {method.data(), method.size()};
}

std::string_view HttpParser::target() const {
  const auto target = beast_->parser.get().target();
  return {target.data(), target.size()};
}

std::string_view HttpParser::authorization() const {
  const auto value = beast_->parser.get()[http::field::authorization];
  return {value.data(), value.size()};
}

std::uint64_t HttpParser::most_body_bytes() const {
  if (beast_->parser.chunked()) return options_.max_body_bytes;
  return beast_->parser.content_length().value_or(0);
}

HttpRequest HttpParser::take() {
  auto message = beast_->parser.release();
  const auto text = [&](auto name) {
    const auto value = message[name];
    return std::string(value.data(), value.size());
  };
  HttpRequest request;
  request.method = {message.method_string().data(), message.method_string().size()};
  request.target = {message.target().data(), message.target().size()};
  request.request_id = text("X-Request-Id");
  request.idempotency_key = text("Idempotency-Key");
  request.tier = text("X-Aorta-Tier");
  request.last_event_id = text("Last-Event-ID");
  request.origin = text("Origin");
  request.preflight_headers = text("Access-Control-Request-Headers");
  request.body = std::move(message.body());
  return request;
}

}  // namespace aorta::fronts
