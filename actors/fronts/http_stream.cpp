#include "actors/fronts/http_stream.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <limits>

namespace aorta::fronts {

namespace asio = boost::asio;

namespace {

int size_for_openssl(std::size_t size) {
  return static_cast<int>(std::min<std::size_t>(size, std::numeric_limits<int>::max()));
}

}  // namespace

void HttpStream::Free::operator()(ssl_st* ssl) const { SSL_free(ssl); }

HttpStream::HttpStream(Socket socket, const std::shared_ptr<const TlsContext>& tls)
    : socket_(std::move(socket)) {
  ErrorCode ignored;
  // Without it each stream stalls 44 ms from a connection's second request on.
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  if (!tls) return;
  ssl_.reset(SSL_new(tls->handle()));
  AORTA_CHECK(ssl_ && SSL_set_fd(ssl_.get(), socket_.native_handle()) == 1,
              "OpenSSL has no memory left");
  SSL_set_accept_state(ssl_.get());
}

HttpStream::~HttpStream() = default;

void HttpStream::async_wait_read(std::function<void(ErrorCode)> handler) {
  // What OpenSSL holds, the socket does not announce.
  if (ssl_ && SSL_pending(ssl_.get()) > 0) {
    return asio::post(socket_.get_executor(), [handler = std::move(handler)] { handler({}); });
  }
  socket_.async_wait(read_wanted_, std::move(handler));
}

std::size_t HttpStream::read_some(asio::mutable_buffer into, ErrorCode& error) {
  if (!ssl_) return socket_.read_some(into, error);
  ERR_clear_error();
  const int read = SSL_read(ssl_.get(), into.data(), size_for_openssl(into.size()));
  error = read > 0 ? ErrorCode() : explain(read);
  read_wanted_ = error == asio::error::would_block ? wanted_ : Socket::wait_read;
  return read > 0 ? static_cast<std::size_t>(read) : 0;
}

void HttpStream::async_write_some(asio::const_buffer bytes,
                                  std::function<void(ErrorCode, std::size_t)> handler) {
  if (!ssl_) return socket_.async_write_some(bytes, std::move(handler));
  ERR_clear_error();
  const int written = SSL_write(ssl_.get(), bytes.data(), size_for_openssl(bytes.size()));
  const ErrorCode error = written > 0 ? ErrorCode() : explain(written);
  if (error == asio::error::would_block) return retry_write(bytes, std::move(handler));
  const std::size_t size = written > 0 ? static_cast<std::size_t>(written) : 0;
  asio::post(socket_.get_executor(),
             [handler = std::move(handler), error, size] { handler(error, size); });
}

void HttpStream::retry_write(asio::const_buffer bytes,
                             std::function<void(ErrorCode, std::size_t)> handler) {
  socket_.async_wait(wanted_, [this, bytes, handler = std::move(handler)](ErrorCode error) {
    if (error || !socket_.is_open()) return handler(asio::error::operation_aborted, 0);
    async_write_some(bytes, handler);
  });
}

HttpStream::ErrorCode HttpStream::explain(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      wanted_ = Socket::wait_read;
      return asio::error::would_block;
    case SSL_ERROR_WANT_WRITE:
      wanted_ = Socket::wait_write;
      return asio::error::would_block;
    case SSL_ERROR_ZERO_RETURN:
      return asio::error::eof;
    default:
      break;
  }
  if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST) {
    was_plain_instead_ = true;
    ssl_.reset();
  }
  return asio::error::connection_aborted;
}

void HttpStream::shutdown_send() {
  if (ssl_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());  // says that this was all; whether it arrives is not waited for
  }
  ErrorCode ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void HttpStream::close() {
  ErrorCode ignored;
  socket_.close(ignored);
}

}  // namespace aorta::fronts
