#include "actors/fronts/openai_format.hpp"

#include <fmt/format.h>

#include <algorithm>
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
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          {"completion_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}}};
}

Object aorta_object(const AnswerFormat::About& about, const admission::Done& done) {
  return {{"request_id", about.request.to_string()},
          {"seed", about.seed},
          {"finish_reason", done.finish_reason},
          {"epochs", done.epochs},
          {"same_numerics", done.same_numerics}};
}

// Of several choices: the exact word on each, and what is true of all.
Object aorta_object(const AnswerFormat::About& about,
                    std::span<const AnswerFormat::Choice> choices) {
  Object all = aorta_object(about, choices.front().done);
  if (choices.size() == 1) return all;
  all.erase("finish_reason");
  all["finish_reasons"] = Object::array();
  for (const auto& [said, done] : choices) {
    all["finish_reasons"].push_back(done.finish_reason);
    all["epochs"] = std::max(all["epochs"].get<std::uint32_t>(), done.epochs);
    all["same_numerics"] = all["same_numerics"].get<bool>() && done.same_numerics;
  }
  return all;
}

Object model_object(const ServedModel& model) {
  return {{"id", model.id},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "aorta"},
          {"max_model_len", model.context_tokens}};
}

// Both names that are in use: DeepSeek's and OpenRouter's.
Object message_object(const Said& said) {
  Object message = {{"role", "assistant"}, {"content", said.text}, {"refusal", nullptr}};
  if (!said.reasoning.empty()) {
    message["reasoning_content"] = said.reasoning;
    message["reasoning"] = said.reasoning;
  }
  return message;
}

std::string delta_of(const Said& said) {
  std::string delta = "{";
  if (!said.reasoning.empty()) {
    const std::string reasoning = json_string(said.reasoning);
    delta += fmt::format(R"("reasoning_content":{},"reasoning":{})", reasoning, reasoning);
    if (said.text.empty()) return delta + "}";
    delta += ",";
  }
  return delta + fmt::format(R"("content":{}}})", json_string(said.text));
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

std::string model_json(const ServedModel& model) { return dump_json(model_object(model)); }

std::string models_json(const std::vector<ServedModel>& models) {
  Object data = Object::array();
  for (const ServedModel& model : models) data.push_back(model_object(model));
  return dump_json(Object{{"object", "list"}, {"data", data}});
}

std::string readiness_json(const admission::Readiness& readiness) {
  Object body = {{"ready", readiness.ready},
                 {"models", readiness.models},
                 {"open_requests", readiness.open_requests}};
  if (!readiness.ready) body["reason"] = readiness.reason;
  return dump_json(body);
}

std::string answer_id(Shape shape, RequestId request) {
  const std::string digits = request.to_string();
  if (shape == Shape::inference) return digits;
  return (shape == Shape::chat ? "chatcmpl-" : "cmpl-") + digits;
}

std::optional<RequestId> parse_answer_id(std::string_view text) {
  for (std::string_view prefix : {"chatcmpl-", "cmpl-"}) {
    if (text.starts_with(prefix)) return RequestId::parse(text.substr(prefix.size()));
  }
  return RequestId::parse(text);
}

struct AnswerFormat::Parts {
  std::uint32_t choice = 0;
  std::string said;  // "delta":{…}, "message":{…} or "text":"…"
  std::string_view logprobs = "null";
  std::string_view finish_reason;  // empty: not yet
};

AnswerFormat::AnswerFormat(About about) : about_(std::move(about)) {
  head_ = head(about_.shape == Shape::chat ? "chat.completion.chunk" : "text_completion");
}

std::string AnswerFormat::head(std::string_view object) const {
  return fmt::format(R"({{"id":"{}","object":"{}","created":{},"model":{})",
                     answer_id(about_.shape, about_.request), object, about_.created,
                     json_string(about_.model));
}

// Once per token: put together by hand, with only the text escaped.
std::string AnswerFormat::choice_text(const Parts& parts) {
  return fmt::format(
      R"({{"index":{},{},"logprobs":{},"finish_reason":{}}})", parts.choice, parts.said,
      parts.logprobs,
      parts.finish_reason.empty() ? "null" : fmt::format("\"{}\"", parts.finish_reason));
}

std::string AnswerFormat::chunk(const Parts& parts, const RunningUsage& usage,
                                const std::string& aorta) const {
  std::string text = fmt::format(R"({},"choices":[{}])", head_, choice_text(parts));
  if (about_.include_usage) {
    text += R"(,"usage":)" + (usage ? dump_json(usage_object(*usage)) : "null");
  }
  if (!aorta.empty()) text += R"(,"aorta":)" + aorta;
  return text + "}";
}

std::string AnswerFormat::first_chunk(std::uint32_t choice, const RunningUsage& usage) const {
  if (about_.shape != Shape::chat) return "";
  return chunk({choice, R"("delta":{"role":"assistant","content":""})"}, usage);
}

std::string AnswerFormat::chunk_of(std::uint32_t choice, const Said& said,
                                   const RunningUsage& usage) const {
  std::string text = about_.shape == Shape::chat ? R"("delta":)" + delta_of(said)
                                                 : R"("text":)" + json_string(said.text);
  return chunk({choice, std::move(text), said.logprobs}, usage);
}

std::string AnswerFormat::last_chunk(const admission::Done& done, const RunningUsage& usage) const {
  return chunk({.choice = done.choice,
                .said = about_.shape == Shape::chat ? R"("delta":{})" : R"("text":"")",
                .finish_reason = finish_reason(done.finish_reason)},
               usage, dump_json(aorta_object(about_, done)));
}

std::string AnswerFormat::usage_chunk(const admission::Usage& usage) const {
  return fmt::format(R"({},"choices":[],"usage":{}}})", head_, dump_json(usage_object(usage)));
}

std::string AnswerFormat::whole(std::span<const Choice> choices) const {
  const Object usage = usage_object(total_usage(choices));
  const Choice& first = choices.front();
  if (about_.shape == Shape::inference) {
    return dump_json(Object{{"id", answer_id(about_.shape, about_.request)},
                            {"text", first.said.text},
                            {"finish_reason", finish_reason(first.done.finish_reason)},
                            {"usage", usage}});
  }
  const bool chat = about_.shape == Shape::chat;
  std::string list;
  for (const auto& [said, done] : choices) {
    if (!list.empty()) list += ",";
    list += choice_text({.choice = done.choice,
                         .said = chat ? R"("message":)" + dump_json(message_object(said))
                                      : R"("text":)" + json_string(said.text),
                         .logprobs = said.logprobs,
                         .finish_reason = finish_reason(done.finish_reason)});
  }
  return fmt::format(R"({},"choices":[{}],"usage":{},"aorta":{}}})",
                     head(chat ? "chat.completion" : "text_completion"), list, dump_json(usage),
                     dump_json(aorta_object(about_, choices)));
}

admission::Usage total_usage(std::span<const AnswerFormat::Choice> choices) {
  admission::Usage total = choices.front().done.usage;
  for (const auto& [said, done] : choices.subspan(1)) {
    total.completion_tokens += done.usage.completion_tokens;
    total.reasoning_tokens += done.usage.reasoning_tokens;
  }
  return total;
}

}  // namespace aorta::fronts
