#include "actors/admission/intake.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace aorta::admission {
namespace {

constexpr auto too_long = "context_length_exceeded";

Rejected refuse(RequestId id, std::string code, std::string param, std::string message) {
  return {.request = id,
          .status = 400,
          .code = std::move(code),
          .message = std::move(message),
          .param = std::move(param)};
}

std::string_view field_of(const GenerateRequest& request) {
  if (!request.messages.empty()) return "messages";
  return request.prompt ? "prompt" : "prompt_ids";
}

std::size_t bytes_of(const GenerateRequest& request) {
  if (request.messages.empty()) return request.prompt ? request.prompt->size() : 0;
  std::size_t bytes = 0;
  for (const auto& message : request.messages)
    bytes += message.role.size() + message.content.size();
  return bytes;
}

// The first id that the model does not have, if any.
template <class Ids, class IdOf>
std::optional<TokenId> outsider(const Ids& ids, const engine::TextModel& model, IdOf id_of) {
  for (const auto& entry : ids) {
    const TokenId id = id_of(entry);
    if (id < 0 || static_cast<std::uint32_t>(id) >= model.vocabulary()) return id;
  }
  return std::nullopt;
}

Rejected unknown_id(const GenerateRequest& request, const engine::TextModel& model, TokenId id,
                    std::string param) {
  return refuse(request.id, "invalid_token_id", std::move(param),
                fmt::format("Token id {} is not in the model's vocabulary: use 0 to {}.", id,
                            model.vocabulary() - 1));
}

Rejected prompt_too_long(const GenerateRequest& request, std::size_t tokens, std::size_t context) {
  return refuse(request.id, too_long, std::string(field_of(request)),
                fmt::format("The prompt has {} tokens; this model's context is {} tokens and the "
                            "answer needs at least one. Shorten it.",
                            tokens, context));
}

std::variant<Intake, Rejected> to_ids(const GenerateRequest& request,
                                      const engine::TextModel& model) {
  if (!request.messages.empty()) {
    auto rendered = model.render(request.messages, true);
    if (!rendered.ok()) {
      return refuse(
          request.id, "invalid_messages", "messages",
          "The model's chat template refuses this conversation: " + rendered.error().message);
    }
    const bool thinks = model.thinks();
    return Intake{
        .prompt = model.encode(*rendered, true, false),  // with its special tokens
        .reasoning = thinks ? engine::reasoning_after(*rendered) : engine::Reasoning::never};
  }
  if (request.prompt) return Intake{.prompt = model.encode(*request.prompt, true, true)};
  const auto same = [](TokenId id) { return id; };
  if (const auto id = outsider(request.prompt_ids, model, same)) {
    return unknown_id(request, model, *id, "prompt_ids");
  }
  return Intake{.prompt = request.prompt_ids};
}

}  // namespace

std::variant<Intake, Rejected> take_in(const GenerateRequest& request,
                                       const engine::TextModel& model,
                                       const AdmissionOptions& options) {
  const std::string field{field_of(request)};
  const std::size_t context = model.context_tokens();
  const std::size_t bytes = bytes_of(request);
  const std::size_t most_bytes = context * model.longest_token_bytes();
  if (bytes > most_bytes) {
    return refuse(request.id, too_long, field,
                  fmt::format("The prompt has {} bytes; nothing above {} bytes fits this model's "
                              "context of {} tokens. Shorten it.",
                              bytes, most_bytes, context));
  }
  const auto biased = [](const std::pair<TokenId, float>& entry) { return entry.first; };
  if (const auto id = outsider(request.sampling.logit_bias, model, biased)) {
    return unknown_id(request, model, *id, "logit_bias");
  }
  if (request.top_logprobs.value_or(0) > engine::max_top_logprobs) {
    return refuse(request.id, "invalid_value", "top_logprobs",
                  fmt::format("top_logprobs is {}: at most {} can be given.", *request.top_logprobs,
                              engine::max_top_logprobs));
  }
  const auto itself = [](TokenId id) { return id; };
  if (const auto id = outsider(request.stop_ids, model, itself)) {
    return unknown_id(request, model, *id, "stop_token_ids");
  }
  auto encoded = to_ids(request, model);
  if (auto* refusal = std::get_if<Rejected>(&encoded)) return std::move(*refusal);
  auto& intake = std::get<Intake>(encoded);
  const std::size_t tokens = intake.prompt.size();
  if (tokens == 0) {
    return refuse(request.id, "empty_prompt", field,
                  "The prompt is empty: send messages, a prompt or prompt_ids.");
  }
  if (tokens >= context) return prompt_too_long(request, tokens, context);
  const auto left = static_cast<std::uint32_t>(context - tokens);
  intake.max_tokens = request.max_tokens.value_or(std::min(options.default_max_tokens, left));
  if (intake.max_tokens == 0) {
    return refuse(request.id, "invalid_value", "max_tokens", "max_tokens must be at least 1.");
  }
  if (intake.max_tokens > left) {
    return refuse(request.id, too_long, "max_tokens",
                  fmt::format("The prompt has {} tokens and max_tokens is {}, together more than "
                              "this model's context of {} tokens: ask for at most {}.",
                              tokens, intake.max_tokens, context, left));
  }
  return intake;
}

mesh::SamplingFields sampling_fields(const engine::Sampling& sampling) {
  return {sampling.temperature,
          sampling.top_p,
          sampling.min_p,
          sampling.top_k,
          sampling.presence_penalty,
          sampling.frequency_penalty,
          sampling.repetition_penalty,
          sampling.logit_bias,
          sampling.seed,
          sampling.choice};
}

}  // namespace aorta::admission
