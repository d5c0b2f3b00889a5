#include "actors/fronts/openai_format.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "actors/fronts/json_text.hpp"

namespace aorta::fronts {
namespace {

using Object = nlohmann::ordered_json;

std::string json_string(std::string_view text) { return dump_json(nlohmann::json(text)); }

// OpenAI's set of finish reasons is closed, and typed clients refuse others: an answer cut by a
// deadline or a cancel is "length" to them; the exact word is under `aorta`.
std::string_view finish_reason(const std::string& reason) {
  return reason == "stop" ? "stop" : "length";
}

Object usage_object(const admission::Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

Object aorta_object(const AnswerFormat::About& about, const admission::Done& done) {
  return {{"request_id", about.request.to_string()},
          {"seed", about.seed},
          {"finish_reason", done.finish_reason},
          {"epochs", done.epochs},
          {"same_numerics", done.same_numerics}};
}

Object model_object(const std::string& model, std::int64_t created) {
  return {{"id", model}, {"object", "model"}, {"created", created}, {"owned_by", "aorta"}};
}

}  // namespace

std::string error_json(const ApiError& error) {
  Object body = {{"message", error.message},
                 {"type", error_type(error.status)},
                 {"param", nullptr},
                 {"code", nullptr}};
  if (!error.param.empty()) body["param"] = error.param;
  if (!error.code.empty()) body["code"] = error.code;
  return dump_json(Object{{"error", body}});
}

std::string models_json(const std::vector<std::string>& models, std::int64_t created) {
  Object data = Object::array();
  for (const std::string& model : models) data.push_back(model_object(model, created));
  return dump_json(Object{{"object", "list"}, {"data", data}});
}

std::string model_json(const std::string& model, std::int64_t created) {
  return dump_json(model_object(model, created));
}

std::string readiness_json(const admission::Readiness& readiness) {
  Object body = {{"ready", readiness.ready},
                 {"models", readiness.models},
                 {"open_requests", readiness.open_requests}};
  if (!readiness.ready) body["reason"] = readiness.reason;
  return dump_json(body);
}

std::string answer_id(Shape shape, RequestId request) {
  return (shape == Shape::chat ? "chatcmpl-" : "cmpl-") + request.to_string();
}

std::optional<RequestId> parse_answer_id(std::string_view text) {
  for (std::string_view prefix : {"chatcmpl-", "cmpl-"}) {
    if (text.starts_with(prefix)) return RequestId::parse(text.substr(prefix.size()));
  }
  return RequestId::parse(text);
}

AnswerFormat::AnswerFormat(About about) : about_(std::move(about)) {
  head_ = fmt::format(R"({{"id":"{}","object":"{}","created":{},"model":{})",
                      answer_id(about_.shape, about_.request),
                      about_.shape == Shape::chat ? "chat.completion.chunk" : "text_completion",
                      about_.created, json_string(about_.model));
}

// Once per token: put together by hand, with only the text escaped.
std::string AnswerFormat::chunk(const std::string& delta, std::string_view finish_reason,
                                const std::string& more) const {
  return fmt::format(R"({},"choices":[{{"index":0,{},"logprobs":null,"finish_reason":{}}}]{}{}}})",
                     head_, delta,
                     finish_reason.empty() ? "null" : fmt::format("\"{}\"", finish_reason),
                     about_.include_usage ? R"(,"usage":null)" : "", more);
}

std::string AnswerFormat::first_chunk() const {
  if (about_.shape == Shape::text) return "";
  return chunk(R"("delta":{"role":"assistant","content":""})", "", "");
}

std::string AnswerFormat::text_chunk(std::string_view text) const {
  const auto* form = about_.shape == Shape::chat ? R"("delta":{{"content":{}}})" : R"("text":{})";
  return chunk(fmt::format(fmt::runtime(form), json_string(text)), "", "");
}

std::string AnswerFormat::last_chunk(const admission::Done& done) const {
  return chunk(about_.shape == Shape::chat ? R"("delta":{})" : R"("text":"")",
               finish_reason(done.finish_reason),
               R"(,"aorta":)" + dump_json(aorta_object(about_, done)));
}

std::string AnswerFormat::usage_chunk(const admission::Usage& usage) const {
  return fmt::format(R"({},"choices":[],"usage":{}}})", head_, dump_json(usage_object(usage)));
}

std::string AnswerFormat::whole(std::string_view text, const admission::Done& done) const {
  Object choice = {{"index", 0}};
  if (about_.shape == Shape::chat) {
    choice["message"] = {{"role", "assistant"}, {"content", text}, {"refusal", nullptr}};
  } else {
    choice["text"] = text;
  }
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = finish_reason(done.finish_reason);
  return dump_json(
      Object{{"id", answer_id(about_.shape, about_.request)},
             {"object", about_.shape == Shape::chat ? "chat.completion" : "text_completion"},
             {"created", about_.created},
             {"model", about_.model},
             {"choices", Object::array({choice})},
             {"usage", usage_object(done.usage)},
             {"aorta", aorta_object(about_, done)}});
}

}  // namespace aorta::fronts
