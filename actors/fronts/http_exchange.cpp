#include "actors/fronts/http_exchange.hpp"

#include <fmt/format.h>

namespace aorta::fronts {

HttpResponse error_response(const ApiError& error) {
  HttpResponse response;
  response.status = error.status;
  response.body = error_json(error);
  if (error.retry_after_ms > 0) {
    response.headers.emplace_back("Retry-After",
                                  std::to_string((error.retry_after_ms + 999ull) / 1000));
    response.headers.emplace_back("retry-after-ms", std::to_string(error.retry_after_ms));
  }
  return response;
}

HttpExchange::HttpExchange(HttpSink& sink, Plan plan, std::int64_t created)
    : sink_(sink), plan_(std::move(plan)), created_(created), next_(plan_.next) {}

void HttpExchange::on(const admission::ClientEvent& event) {
  if (!open_) return;  // one answer has one end
  std::visit([this](const auto& e) { on_event(e); }, event);
}

void HttpExchange::begin(RequestId request, const std::string& model, std::uint64_t seed) {
  if (format_) return;
  format_.emplace(AnswerFormat::About{plan_.shape, request, model, created_, seed,
                                      plan_.stream && plan_.include_usage});
  if (!plan_.stream) return;
  HttpResponse head;
  head.content_type = "text/event-stream; charset=utf-8";
  head.headers = plan_.headers;
  head.headers.emplace_back("Cache-Control", "no-cache");
  head.headers.emplace_back("X-Accel-Buffering", "no");  // nginx would hold the stream back
  sink_.begin_stream(std::move(head));
  if (std::string chunk = format_->first_chunk(); !chunk.empty()) send(chunk);
}

void HttpExchange::on_event(const admission::Accepted& event) {
  begin(event.request, event.model, event.seed);
}

void HttpExchange::on_event(const admission::Rejected& event) {
  fail({event.status, event.code, event.message, event.param, event.retry_after_ms});
}

void HttpExchange::on_event(const admission::Delta& event) {
  begin(event.request, "", 0);
  next_.value = event.first.value + static_cast<std::uint32_t>(event.ids.size());
  if (event.text.empty()) return;  // held back as part of a character or of a stop string
  if (plan_.stream) {
    send(format_->text_chunk(event.text));
  } else {
    text_ += event.text;
  }
}

void HttpExchange::on_event(const admission::Waiting&) {
  if (format_ && plan_.stream) sink_.stream(": keep-alive\n\n");
}

void HttpExchange::on_event(const admission::Done& event) {
  begin(event.request, "", 0);
  open_ = false;
  if (plan_.stream) {
    send(format_->last_chunk(event));
    if (plan_.include_usage) send(format_->usage_chunk(event.usage));
    sink_.stream("data: [DONE]\n\n");
    sink_.end_stream();
    return;
  }
  HttpResponse response;
  response.headers = std::move(plan_.headers);
  response.body = format_->whole(text_, event);
  sink_.respond(std::move(response));
}

void HttpExchange::on_event(const admission::Failed& event) {
  fail({event.status, event.code, event.message, "", 0});
}

void HttpExchange::send(const std::string& chunk) {
  sink_.stream(fmt::format("id: {}\ndata: {}\n\n", next_.value, chunk));
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
