#pragma once
// One client's connection: requests one after another, each answered whole before the next is
// read. Internal to the HTTP front.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>  // before Asio, for g++ 12 and C++20
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "actors/fronts/http_exchange.hpp"
#include "actors/fronts/http_options.hpp"
#include "actors/fronts/http_parser.hpp"
#include "actors/fronts/http_routes.hpp"
#include "actors/fronts/http_stream.hpp"
#include "mesh/api_keys.hpp"

namespace aorta::fronts {

class HttpConnection;

// What all connections of a front share.
struct HttpHub {
  boost::asio::io_context& io;
  admission::ClientPort& port;
  const HttpOptions options;
  const std::shared_ptr<const mesh::ApiKeys> keys;
  HttpRoutes routes;
  std::shared_ptr<const TlsContext> tls;  // of connections to come; null: plain
  std::uint64_t next_id = 0;  // of an exchange: to admission each one is a connection of its own
  std::unordered_map<std::uint64_t, HttpConnection*> exchanges;
  std::unordered_set<std::shared_ptr<HttpConnection>> connections;
  std::vector<char> scratch = std::vector<char>(64u << 10);  // for one read at a time
  std::uint64_t bodies_bytes = 0;                            // promised to bodies on their way in
  std::uint64_t accepted = 0, refused = 0, requests = 0, errors = 0, unauthorized = 0;
  bool draining = false;
  bool tells_admission = true;     // until the front is destroyed
  std::function<void()> on_empty;  // called when draining and the last connection is gone
};

class HttpConnection final : public HttpSink, public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(boost::asio::ip::tcp::socket socket, HttpHub& hub);

  void start();
  void start_refusing();  // answers 503 to whatever comes
  void deliver(const admission::ClientEvent& event);
  void drain();  // closes as soon as nothing is being asked or answered
  void close();  // at once; what is open is told gone. Not from within deliver()

  void respond(HttpResponse response) override;
  void begin_stream(HttpResponse head) override;
  void stream(std::string_view text) override;
  void end_stream() override;

 private:
  enum class Phase {
    reading,    // between requests, or in the middle of one
    answering,  // the read side is only watched for the client's leaving
    lingering,  // all is said: waits for the client to close first, so that it can read the answer
    closed
  };
  void read();
  void on_readable();
  void on_client_closed();
  void advance();
  void on_header();
  bool is_let_in();
  void dispatch();
  void refuse(ApiError error);  // a copy: the parser that made it goes
  void finish_answer();
  void linger();

  void send(std::string_view bytes);
  void write();
  void write_some();
  void on_written(std::size_t bytes);
  std::size_t unsent() const { return out_.size() + writing_.size() - written_; }
  void bound_unsent();
  void release_hold();

  using Handler = void (HttpConnection::*)();
  void arm(boost::asio::steady_timer& timer, std::uint32_t ms, Handler handler);
  void on_read_deadline();
  void release_body();

  HttpStream stream_;
  HttpHub& hub_;  // not to be touched once closed
  boost::asio::steady_timer read_deadline_, write_deadline_;
  Phase phase_ = Phase::reading;

  std::string input_;  // received, not yet parsed
  bool waiting_to_read_ = false;
  bool client_closed_ = false;
  std::unique_ptr<HttpParser> parser_;  // in the middle of a request
  std::uint64_t body_bytes_ = 0;        // our part of hub_.bodies_bytes
  std::string tenant_;                  // of the request

  std::optional<HttpExchange> exchange_;
  ConnectionId id_;  // of the exchange
  HttpFraming framing_;
  bool answered_ = false;  // all of the answer is in out_

  std::string out_, writing_;  // to be sent, being sent
  std::size_t written_ = 0;    // of writing_
  bool write_in_flight_ = false;
  bool over_hold_ = false;  // admission is held, or will be in a moment
  bool held_ = false;       // admission was told
  bool doomed_ = false;     // more unsent than allowed: closed in a moment
};

}  // namespace aorta::fronts
