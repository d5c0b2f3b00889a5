#pragma once
// One answer over HTTP: events of admission go in, a response or an SSE stream comes out.
//
// A stream is a sequence of events: `id:` is the index of the next token, which a client gives as
// Last-Event-ID to go on from there; `data:` is a chunk; the last data is [DONE]. While nothing
// comes, `: keep-alive` comments do.
#include <optional>
#include <string>

#include "actors/admission/client.hpp"
#include "actors/fronts/http_message.hpp"
#include "actors/fronts/openai_format.hpp"

namespace aorta::fronts {

class HttpExchange {
 public:
  struct Plan {
    Shape shape = Shape::chat;
    bool stream = false;
    bool include_usage = false;
    TokenIndex next;  // where the answer begins: 0, or where a resumed one goes on
    std::vector<std::pair<std::string, std::string>> headers;  // of the response
  };
  // The sink must outlive the exchange. `created`: seconds since 1970.
  HttpExchange(HttpSink& sink, Plan plan, std::int64_t created);

  void on(const admission::ClientEvent& event);
  // Admission has not ended it yet.
  bool open() const { return open_; }

 private:
  void on_event(const admission::Accepted& event);
  void on_event(const admission::Rejected& event);
  void on_event(const admission::Delta& event);
  void on_event(const admission::Waiting& event);
  void on_event(const admission::Done& event);
  void on_event(const admission::Failed& event);
  // A resumed answer may begin with tokens: then admission has said nothing of the model.
  void begin(RequestId request, const std::string& model, std::uint64_t seed);
  void send(const std::string& chunk);
  void fail(const ApiError& error);

  HttpSink& sink_;
  Plan plan_;
  std::int64_t created_;
  std::optional<AnswerFormat> format_;  // once accepted
  TokenIndex next_;
  std::string text_;  // of an answer that is sent whole
  bool open_ = true;
};

// The response to an error, with Retry-After where trying again helps.
HttpResponse error_response(const ApiError& error);

}  // namespace aorta::fronts
