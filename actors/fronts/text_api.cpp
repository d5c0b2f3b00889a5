#include "actors/fronts/text_api.hpp"

#include <fmt/format.h>

#include "actors/fronts/conversation_parser.hpp"
#include "actors/fronts/json_text.hpp"
#include "actors/fronts/known_fields.hpp"
#include "actors/fronts/logprobs_format.hpp"

namespace aorta::fronts {
namespace {

using admission::GenerateRequest;
using engine::TextModel;
using nlohmann::json;
using Model = std::shared_ptr<const TextModel>;

Model model_of(Fields& fields, const admission::ClientPort& port) {
  std::string name;
  fields.text("model", name, 256);
  if (fields.failed()) return nullptr;
  Model model = port.text_model(name);
  if (model == nullptr) {
    fields.fail("model", "model_not_found",
                fmt::format("The model '{:.200}' is not served here; /v1/models lists those that "
                            "are.",
                            name),
                404);
  }
  return model;
}

// What a prompt that could be answered never exceeds; beyond it only time would be lost.
bool fits(Fields& fields, const TextModel& model, std::string_view name, std::size_t bytes) {
  const std::size_t most = model.context_tokens() * model.longest_token_bytes();
  if (bytes > most) {
    fields.fail(name, "context_length_exceeded",
                fmt::format("Invalid '{}': it has {} bytes and may have {} for this model.", name,
                            bytes, most));
  }
  return !fields.failed();
}

std::vector<TokenId> encode_prompt(Fields& fields, const TextModel& model) {
  bool add_special = true;
  fields.boolean("add_special_tokens", add_special);
  std::string prompt;
  fields.text("prompt", prompt, std::string::npos);
  if (!fits(fields, model, "prompt", prompt.size())) return {};
  return model.encode(prompt, true, add_special);
}

std::vector<TokenId> encode_messages(Fields& fields, const TextModel& model,
                                     std::vector<std::string>& ignored) {
  bool add_special = false, add_generation_prompt = true;
  fields.boolean("add_special_tokens", add_special);
  fields.boolean("add_generation_prompt", add_generation_prompt);
  GenerateRequest request;
  const json* messages = fields.find("messages");
  const bool none = messages != nullptr && messages->is_array() && messages->empty();
  if (!none) parse_messages(fields, request, ignored);  // an empty conversation has tokens too
  std::size_t bytes = 0;
  for (const auto& message : request.messages) bytes += message.content.size();
  if (!fits(fields, model, "messages", bytes)) return {};
  auto rendered = model.render(request.messages, add_generation_prompt);
  if (!rendered) {
    fields.fail("messages", "invalid_messages",
                "The model's chat template refuses this conversation: " + rendered.error().message);
    return {};
  }
  return model.encode(*rendered, true, add_special);
}

std::vector<TokenId> parse_tokens(Fields& fields, const TextModel& model) {
  const json* tokens = fields.find("tokens");
  std::vector<TokenId> ids;
  if (tokens == nullptr) {
    fields.fail("tokens", "missing_required_parameter", "Missing required parameter: 'tokens'.");
  } else if (!tokens->is_array()) {
    fields.wrong_type("tokens", "a list of token ids", *tokens);
  }
  if (fields.failed()) return ids;
  for (const json& token : *tokens) {
    const auto id = whole_number(token);
    if (!id || *id < 0 || *id >= model.vocabulary()) {
      fields.fail("tokens", "invalid_token_id",
                  fmt::format("Invalid 'tokens': ids of this model are integers from 0 to {}.",
                              model.vocabulary() - 1));
      break;
    }
    ids.push_back(static_cast<TokenId>(*id));
  }
  return ids;
}

std::variant<TextAnswer, ApiError> settle(Fields& fields, std::optional<ApiError>& error,
                                          TextAnswer answer) {
  if (error) return *std::move(error);
  for (std::string& name : fields.unknown()) answer.ignored.push_back(std::move(name));
  return answer;
}

std::optional<ApiError> not_an_object(const json& body) {
  if (body.is_object()) return std::nullopt;
  return ApiError{400, "invalid_type",
                  fmt::format("The body must be an object, but it is {}.", kind_of(body)), "", 0};
}

}  // namespace

std::variant<TextAnswer, ApiError> tokenize(const json& body, const admission::ClientPort& port) {
  if (auto error = not_an_object(body)) return *std::move(error);
  std::optional<ApiError> error;
  Fields fields(body, "", error);
  TextAnswer answer;
  const bool chat = fields.find("messages") != nullptr;
  if (!chat && fields.find("prompt") == nullptr) {
    fields.fail("prompt", "missing_required_parameter",
                "Missing required parameter: 'prompt' or 'messages'.");
  } else if (chat && fields.find("prompt") != nullptr) {
    fields.fail("prompt", "invalid_value", "Send 'messages' or 'prompt', not both.");
  }
  bool spelled = false;
  fields.boolean("return_token_strs", spelled);
  const Model model = model_of(fields, port);
  if (error) return *std::move(error);
  const auto ids =
      chat ? encode_messages(fields, *model, answer.ignored) : encode_prompt(fields, *model);
  settle_known_fields(fields, chat ? Where::chat : Where::completion);
  answer.body = {
      {"count", ids.size()}, {"max_model_len", model->context_tokens()}, {"tokens", ids}};
  if (spelled) {
    json& texts = answer.body["token_strs"] = json::array();
    for (const TokenId id : ids) texts.push_back(token_text(model->bytes(id)));
  }
  return settle(fields, error, std::move(answer));
}

std::variant<TextAnswer, ApiError> detokenize(const json& body, const admission::ClientPort& port) {
  if (auto error = not_an_object(body)) return *std::move(error);
  std::optional<ApiError> error;
  Fields fields(body, "", error);
  const Model model = model_of(fields, port);
  if (error) return *std::move(error);
  std::string bytes;
  for (const TokenId id : parse_tokens(fields, *model)) bytes += model->bytes(id);
  return settle(fields, error, {{{"prompt", valid_text(bytes)}}, {}});
}

}  // namespace aorta::fronts
