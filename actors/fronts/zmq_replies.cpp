#include "actors/fronts/zmq_replies.hpp"

#include <variant>

#include "actors/fronts/logprobs_format.hpp"

namespace aorta::fronts {
namespace {

using nlohmann::json;

ZmqReply reply(const admission::Accepted& e) {
  return {"accepted",
          {{"request", e.request.to_string()},
           {"model", e.model},
           {"seed", e.seed},
           {"choices", e.choices},
           {"life", e.life}}};
}

ZmqReply reply(const admission::Rejected& e) {
  ZmqReply answer = rejected({e.status, e.code, e.message, e.param, e.retry_after_ms});
  answer.body["request"] = e.request.to_string();
  return answer;
}

ZmqReply reply(const admission::Delta& e) {
  ZmqReply tokens{"tokens",
                  {{"request", e.request.to_string()},
                   {"choice", e.choice},
                   {"index", e.first.value},
                   {"ids", e.ids},
                   {"text", e.text}}};
  if (!e.reasoning.empty()) tokens.body["reasoning"] = e.reasoning;
  if (!e.logprobs.empty()) tokens.body["logprobs"] = logprobs_content(e.logprobs);
  return tokens;
}

ZmqReply reply(const admission::Waiting& e) {
  return {"waiting", {{"request", e.request.to_string()}}};
}

ZmqReply reply(const admission::Done& e) {
  return {"done",
          {{"request", e.request.to_string()},
           {"choice", e.choice},
           {"finish_reason", e.finish_reason},
           {"usage",
            {{"prompt_tokens", e.usage.prompt_tokens},
             {"completion_tokens", e.usage.completion_tokens},
             {"total_tokens", e.usage.prompt_tokens + e.usage.completion_tokens},
             {"cached_tokens", e.usage.cached_tokens},
             {"reasoning_tokens", e.usage.reasoning_tokens}}},
           {"epochs", e.epochs},
           {"same_numerics", e.same_numerics}}};
}

ZmqReply reply(const admission::Failed& e) {
  return {"failed",
          {{"request", e.request.to_string()},
           {"choice", e.choice},
           {"status", e.status},
           {"code", e.code},
           {"message", e.message}}};
}

}  // namespace

ZmqReply reply_of(const admission::ClientEvent& event) {
  return std::visit([](const auto& e) { return reply(e); }, event);
}

ZmqReply rejected(const ApiError& error) {
  return {"rejected",
          {{"status", error.status},
           {"code", error.code},
           {"message", error.message},
           {"param", error.param},
           {"retry_after_ms", error.retry_after_ms}}};
}

ZmqReply unreadable(std::string sentence) { return {"error", {{"message", std::move(sentence)}}}; }

ZmqReply models_reply(const admission::Readiness& readiness) {
  return {"models", {{"models", readiness.models}}};
}

ZmqReply text_reply(const char* verb, TextAnswer answer) {
  if (!answer.ignored.empty()) answer.body["ignored"] = std::move(answer.ignored);
  return {verb, std::move(answer.body)};
}

ZmqReply status_reply(const admission::Readiness& readiness) {
  return {"status",
          {{"ready", readiness.ready},
           {"reason", readiness.reason},
           {"models", readiness.models},
           {"open_requests", readiness.open_requests}}};
}

}  // namespace aorta::fronts
