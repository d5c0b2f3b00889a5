#pragma once
// A raw TCP client on the same loop as the front under test: sends bytes, keeps what comes back.
#include <gtest/gtest.h>

#include <utility>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <string>

namespace aorta::fronts {

// Turns of the loop until `done`. Waits for events; the bound only ends a test that is broken.
template <class Done>
void run_until(boost::asio::io_context& io, Done done) {
  while (!done()) {
    io.restart();
    if (io.run_one_for(std::chrono::seconds(10)) == 0) {
      FAIL() << "nothing happened for 10 s";
    }
  }
}

class HttpClient {
 public:
  using tcp = boost::asio::ip::tcp;
  HttpClient(boost::asio::io_context& io, std::uint16_t port, int receive_buffer = 0)
      : io_(io), socket_(io) {
    socket_.open(tcp::v4());
    if (receive_buffer > 0) {
      socket_.set_option(boost::asio::socket_base::receive_buffer_size(receive_buffer));
    }
    socket_.connect({boost::asio::ip::address_v4::loopback(), port});
  }
  ~HttpClient() {
    boost::system::error_code ignored;
    socket_.close(ignored);
    io_.restart();
    io_.poll();  // handlers that were cancelled name this
  }
  void send(const std::string& bytes) {
    boost::asio::write(socket_, boost::asio::buffer(bytes));
    if (!reading_) read();
  }
  // As a client that takes what it has asked for.
  void read() {
    reading_ = true;
    socket_.async_read_some(boost::asio::buffer(buffer_),
                            [this](boost::system::error_code error, std::size_t bytes) {
                              if (error == boost::asio::error::operation_aborted) return;
                              if (error) {
                                ended = true;
                                return;
                              }
                              received.append(buffer_.data(), bytes);
                              read();
                            });
  }
  // As one that asks and then reads nothing.
  void send_only(const std::string& bytes) {
    boost::asio::write(socket_, boost::asio::buffer(bytes));
  }
  void finish() { socket_.close(); }  // FIN
  void reset() {                      // RST
    socket_.set_option(boost::asio::socket_base::linger(true, 0));
    socket_.close();
  }
  bool has(const std::string& text) const { return received.find(text) != received.npos; }
  std::size_t count(const std::string& text) const {
    std::size_t n = 0;
    for (auto at = received.find(text); at != received.npos; at = received.find(text, at + 1)) ++n;
    return n;
  }
  // Header and body of the only response; chunks joined.
  std::string body() const {
    const auto end = received.find("\r\n\r\n");
    std::string rest = end == received.npos ? "" : received.substr(end + 4);
    if (!has("Transfer-Encoding: chunked")) return rest;
    std::string joined;
    for (std::size_t at = 0; at < rest.size();) {
      const auto line = rest.find("\r\n", at);
      const auto size = std::stoul(rest.substr(at, line - at), nullptr, 16);
      joined += rest.substr(line + 2, size);
      at = line + 2 + size + 2;
    }
    return joined;
  }

  std::string received;
  bool ended = false;  // the server closed

 private:
  boost::asio::io_context& io_;
  tcp::socket socket_;
  std::array<char, 65536> buffer_{};
  bool reading_ = false;
};

inline std::string post(const std::string& path, const std::string& body,
                        const std::string& headers = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: test\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline std::string get(const std::string& path, const std::string& headers = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: test\r\n" + headers + "\r\n";
}

}  // namespace aorta::fronts
