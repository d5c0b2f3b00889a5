#pragma once
// One answer over HTTP: events of admission go in, a response or an SSE stream comes out.
//
// A stream is a sequence of events: `id:` says how far it has come (event_id.hpp), which a client
// gives as Last-Event-ID to go on from there; `data:` is a chunk; the last data is [DONE]. While
// nothing comes, `: keep-alive` comments do.
#include <optional>
#include <string>
#include <vector>

#include "actors/admission/client.hpp"
#include "base/delivered_hash.hpp"
#include "actors/fronts/http_message.hpp"
#include "actors/fronts/logprobs_format.hpp"
#include "actors/fronts/openai_format.hpp"

namespace aorta::fronts {

class HttpExchange {
 public:
  struct Plan {
    std::optional<Shape> shape;  // absent: as it was asked for first, which admission knows
    bool stream = false;
    bool include_usage = false;
    bool continuous_usage = false;
    std::vector<admission::Cursor> cursors;  // of a resumed answer: where each choice begins
    HttpHeaders headers;                     // of the response
  };
  // The sink must outlive the exchange. `created`: seconds since 1970.
  HttpExchange(HttpSink& sink, Plan plan, std::int64_t created);

  void on(const admission::ClientEvent& event);
  // Admission has not ended it yet.
  bool open() const { return open_; }

 private:
  struct Choice {
    admission::Cursor at{.delivered_hash = nothing_delivered};
    std::string text, reasoning;          // of an answer that is sent whole
    std::vector<TokenLogprobs> logprobs;  // likewise
    std::size_t text_offset = 0;          // of a stream's next logprobs
    bool ended = false;
    admission::Done done;
  };
  void on_event(const admission::Accepted& event);
  void on_event(const admission::Rejected& event);
  void on_event(const admission::Delta& event);
  void on_event(const admission::Waiting& event);
  void on_event(const admission::Done& event);
  void on_event(const admission::Failed& event);
  Choice* choice_of(std::uint32_t number);
  std::string logprobs_json(std::span<const TokenLogprobs> tokens, std::size_t& offset) const;
  AnswerFormat::RunningUsage running_usage(const Choice& choice) const;
  void end_choice(Choice& choice);
  void complete();
  void send(const std::string& chunk);
  void fail(const ApiError& error);

  HttpSink& sink_;
  Plan plan_;
  std::int64_t created_;
  std::optional<AnswerFormat> format_;  // once accepted
  std::uint32_t prompt_tokens_ = 0;
  std::vector<Choice> choices_;
  std::optional<ApiError> failure_;  // of a choice; told when the others have ended
  bool open_ = true;
};

// The response to an error, with Retry-After where trying again helps.
HttpResponse error_response(const ApiError& error);

}  // namespace aorta::fronts
