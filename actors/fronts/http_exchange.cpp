#include "actors/fronts/http_exchange.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "actors/fronts/event_id.hpp"
#include "actors/fronts/json_text.hpp"

namespace aorta::fronts {

HttpResponse error_response(const ApiError& error) {
  HttpResponse response;
  response.status = error.status;
  response.body = error_json(error);
  if (error.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  if (error.retry_after_ms > 0) {
    response.headers.emplace_back("Retry-After",
                                  std::to_string((error.retry_after_ms + 999ull) / 1000));
    response.headers.emplace_back("retry-after-ms", std::to_string(error.retry_after_ms));
  } else if (error.status == 409 || error.status >= 500) {
    // OpenAI's clients would try again by themselves, and what broke an engine would break more.
    response.headers.emplace_back("x-should-retry", "false");
  }
  return response;
}

HttpExchange::HttpExchange(HttpSink& sink, Plan plan, std::int64_t created)
    : sink_(sink), plan_(std::move(plan)), created_(created) {}

void HttpExchange::on(const admission::ClientEvent& event) {
  if (!open_) return;  // one answer has one end
  std::visit([this](const auto& e) { on_event(e); }, event);
}

void HttpExchange::on_event(const admission::Accepted& event) {
  if (format_) return;
  const Shape shape = plan_.shape.value_or(event.chat ? Shape::chat : Shape::text);
  format_.emplace(AnswerFormat::About{shape, event.request, event.model, created_, event.seed,
                                      plan_.stream && plan_.include_usage});
  prompt_tokens_ = event.prompt_tokens;
  choices_.resize(event.choices);
  for (std::size_t i = 0; i < std::min(choices_.size(), plan_.cursors.size()); ++i) {
    // An index without a hash: then what follows has none either.
    if (plan_.cursors[i].next > TokenIndex{}) choices_[i].at = plan_.cursors[i];
  }
  if (!plan_.stream) return;
  HttpResponse head;
  head.content_type = "text/event-stream; charset=utf-8";
  head.headers = plan_.headers;
  head.headers.emplace_back("Cache-Control", "no-cache");
  head.headers.emplace_back("X-Accel-Buffering", "no");  // nginx would hold the stream back
  sink_.begin_stream(std::move(head));
  for (std::uint32_t i = 0; i < event.choices; ++i) {
    const std::string chunk = format_->first_chunk(i, running_usage(choices_[i]));
    if (!chunk.empty()) send(chunk);
  }
}

void HttpExchange::on_event(const admission::Rejected& event) {
  fail({event.status, event.code, event.message, event.param, event.retry_after_ms});
}

void HttpExchange::on_event(const admission::Delta& event) {
  Choice* choice = choice_of(event.choice);
  if (choice == nullptr) return;
  choice->at.next.value = event.first.value + static_cast<std::uint32_t>(event.ids.size());
  choice->at.end_text = event.ids.empty();
  auto& hash = choice->at.delivered_hash;
  if (hash) hash = delivered_hash(event.ids, *hash);
  if (plan_.stream) {
    // Without text: held back as part of a character or of a stop string.
    if (event.text.empty() && event.reasoning.empty() && event.logprobs.empty()) return;
    const Said said{event.text, event.reasoning,
                    logprobs_json(event.logprobs, choice->text_offset)};
    send(format_->chunk_of(event.choice, said, running_usage(*choice)));
  } else {
    choice->text += event.text;
    choice->reasoning += event.reasoning;
    choice->logprobs.insert(choice->logprobs.end(), event.logprobs.begin(), event.logprobs.end());
  }
}

// One line and no empty one after it: once an event had an id, the openai package takes an empty
// line for a further event without data.
void HttpExchange::on_event(const admission::Waiting&) {
  if (format_ && plan_.stream) sink_.stream(": keep-alive\n");
}

void HttpExchange::on_event(const admission::Done& event) {
  Choice* choice = choice_of(event.choice);
  if (choice == nullptr) return;
  choice->done = event;
  if (plan_.stream) send(format_->last_chunk(event, running_usage(*choice)));
  end_choice(*choice);
}

// The other choices go on: what they say is not taken back.
void HttpExchange::on_event(const admission::Failed& event) {
  ApiError error{event.status, event.code, event.message, "", 0};
  Choice* choice = choice_of(event.choice);
  if (choice == nullptr) return fail(error);
  if (!failure_) failure_ = std::move(error);
  end_choice(*choice);
}

HttpExchange::Choice* HttpExchange::choice_of(std::uint32_t number) {
  return number < choices_.size() && !choices_[number].ended ? &choices_[number] : nullptr;
}

std::string HttpExchange::logprobs_json(std::span<const TokenLogprobs> tokens,
                                        std::size_t& offset) const {
  if (tokens.empty()) return "null";
  if (format_->about().shape != Shape::chat) return dump_json(legacy_logprobs(tokens, offset));
  return dump_json(nlohmann::json{{"content", logprobs_content(tokens)}, {"refusal", nullptr}});
}

AnswerFormat::RunningUsage HttpExchange::running_usage(const Choice& choice) const {
  if (!plan_.continuous_usage) return std::nullopt;
  return admission::Usage{prompt_tokens_, choice.at.next.value};
}

void HttpExchange::end_choice(Choice& choice) {
  choice.ended = true;
  const bool all =
      std::all_of(choices_.begin(), choices_.end(), [](const Choice& one) { return one.ended; });
  if (!all) return;
  failure_ ? fail(*failure_) : complete();
}

void HttpExchange::complete() {
  open_ = false;
  std::vector<AnswerFormat::Choice> all;
  for (const Choice& choice : choices_) {
    std::size_t offset = 0;
    all.push_back(
        {{choice.text, choice.reasoning, logprobs_json(choice.logprobs, offset)}, choice.done});
  }
  if (plan_.stream) {
    if (plan_.include_usage) send(format_->usage_chunk(total_usage(all)));
    sink_.stream("data: [DONE]\n\n");
    return sink_.end_stream();
  }
  HttpResponse response;
  response.headers = std::move(plan_.headers);
  response.body = format_->whole(all);
  sink_.respond(std::move(response));
}

void HttpExchange::send(const std::string& chunk) {
  std::string indices;
  for (const Choice& choice : choices_) {
    fmt::format_to(std::back_inserter(indices), "{}{}", indices.empty() ? "" : ",",
                   event_id_part(choice.at));
  }
  sink_.stream(fmt::format("id: {}\ndata: {}\n\n", indices, chunk));
}

void HttpExchange::fail(const ApiError& error) {
  open_ = false;
  if (format_ && plan_.stream) {  // the status is long gone: an event, and a clean end
    sink_.stream(fmt::format("data: {}\n\ndata: [DONE]\n\n", error_json(error)));
    sink_.end_stream();
    return;
  }
  HttpResponse response = error_response(error);
  for (auto& header : plan_.headers) response.headers.push_back(std::move(header));
  sink_.respond(std::move(response));
}

}  // namespace aorta::fronts
