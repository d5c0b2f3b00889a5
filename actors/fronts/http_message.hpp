#pragma once
// An HTTP request and response without sockets, and where an answer is written.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aorta::fronts {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  // upper case
  std::string target;  // as sent: path, and query after '?'
  std::string body;
  std::string tenant;  // who asks, as the connection found out
  // The headers that we read; empty when absent.
  std::string request_id, idempotency_key, tier, last_event_id;
  std::string origin, preflight_headers;  // a page's, as browsers tell it
};

struct HttpResponse {
  int status = 200;
  HttpHeaders headers;  // beside length, type and connection
  std::string body;
  std::string content_type = "application/json";
};

// The whole response as bytes. `head_only`: the length that the body would have, without it.
struct HttpFraming {
  bool keep_alive = true;
  bool head_only = false;
  bool http_1_0 = false;  // no chunks: a stream ends with its connection
};
std::string encode_response(const HttpResponse& response, const HttpFraming& framing);
// A streamed response: its head, then pieces, then the end.
std::string encode_stream_head(const HttpResponse& response, const HttpFraming& framing);
std::string encode_stream_piece(std::string_view text, const HttpFraming& framing);
std::string encode_stream_end(const HttpFraming& framing);

// An answer on its way to one client: respond() once, or begin_stream(), stream()… and
// end_stream(). None of them waits or calls back.
class HttpSink {
 public:
  virtual ~HttpSink() = default;
  virtual void respond(HttpResponse response) = 0;
  virtual void begin_stream(HttpResponse head) = 0;
  virtual void stream(std::string_view text) = 0;
  virtual void end_stream() = 0;
};

}  // namespace aorta::fronts
