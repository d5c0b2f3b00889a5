#pragma once
// A client's TCP connection, plain or under TLS; the rest of the front need not know which. OpenSSL
// works on the non-blocking socket itself, and Asio says when that is ready: so the handshake is
// part of the first read, and the deadlines of a header are its own.
#include <functional>
#include <memory>
#include <string_view>
#include <utility>  // before Asio, for g++ 12 and C++20

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "actors/fronts/tls.hpp"

struct ssl_st;  // OpenSSL's SSL

namespace aorta::fronts {

class HttpStream {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using ErrorCode = boost::system::error_code;

  // Without a context the connection is plain.
  HttpStream(Socket socket, const std::shared_ptr<const TlsContext>& tls);
  ~HttpStream();

  // When something may be there to read.
  void async_wait_read(std::function<void(ErrorCode)> handler);
  // What is there; would_block when nothing is. After that, wait again.
  std::size_t read_some(boost::asio::mutable_buffer into, ErrorCode& error);
  // Writes a part, as soon as the client takes some. The bytes must stay until then.
  void async_write_some(boost::asio::const_buffer bytes,
                        std::function<void(ErrorCode, std::size_t)> handler);
  // No more will be written; the client may still be.
  void shutdown_send();
  void close();

  // A client that spoke plain HTTP where TLS was expected: what it sent is lost, but from now on
  // the connection is plain, so that it can be told.
  bool was_plain_instead() const { return was_plain_instead_; }

 private:
  // Of a call of OpenSSL that failed: an error, or would_block and what to wait for.
  ErrorCode explain(int result);
  void retry_write(boost::asio::const_buffer bytes,
                   std::function<void(ErrorCode, std::size_t)> handler);

  Socket socket_;
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  std::unique_ptr<ssl_st, Free> ssl_;                  // null: plain
  Socket::wait_type wanted_ = Socket::wait_read;       // by OpenSSL's last call
  Socket::wait_type read_wanted_ = Socket::wait_read;  // by its last read
  bool was_plain_instead_ = false;
};

}  // namespace aorta::fronts
