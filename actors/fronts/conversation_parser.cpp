#include "actors/fronts/conversation_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

namespace aorta::fronts {
namespace {

using nlohmann::json;

// Text of a message: a string, or a list of text parts, joined as they stand. An assistant's may be
// missing, as it is beside tool calls or a refusal.
void parse_content(Fields& message, bool optional, std::string& content) {
  const json* value = message.find("content");
  if (value == nullptr) {
    if (optional) return;
    return message.fail("content", "missing_required_parameter",
                        fmt::format("Missing required parameter: '{}'; it must be a string or a "
                                    "list of text parts.",
                                    message.path_of("content")));
  }
  if (value->is_string()) {
    content = value->get<std::string>();
    return;
  }
  if (!value->is_array()) {
    return message.wrong_type("content", "a string or a list of text parts", *value);
  }
  for (std::size_t i = 0; i < value->size(); ++i) {
    const json& part = (*value)[i];
    const std::string name = fmt::format("content[{}]", i);
    if (!part.is_object()) return message.wrong_type(name, "an object", part);
    const auto type = part.find("type");
    if (type == part.end() || *type != "text") {
      const bool named = type != part.end() && type->is_string();
      return message.fail(
          name + ".type", "unsupported_value",
          fmt::format("Unsupported '{}.type': {}; only parts of type 'text' are supported.",
                      message.path_of(name),
                      named ? fmt::format("'{:.64}'", type->get_ref<const std::string&>())
                            : "it is missing"));
    }
    const auto text = part.find("text");
    if (text == part.end() || !text->is_string()) {
      return message.wrong_type(name + ".text", "a string", text == part.end() ? json() : *text);
    }
    content += text->get_ref<const std::string&>();
  }
}

void parse_role(Fields& message, std::string& role) {
  message.choice("role", role,
                 {{"system", "system"},
                  {"developer", "developer"},
                  {"user", "user"},
                  {"assistant", "assistant"},
                  {"tool", "tool"}});
  if (role.empty()) {
    message.fail("role", "missing_required_parameter",
                 fmt::format("Missing required parameter: '{}'; it must be 'system', 'developer', "
                             "'user', 'assistant' or 'tool'.",
                             message.path_of("role")));
  }
}

// Parts of OpenAI's messages that would change what the model sees.
void refuse_unsupported(Fields& message) {
  for (const char* name : {"tool_calls", "function_call", "audio"}) {
    const json* value = message.find(name);
    if (value == nullptr || value->empty()) continue;
    message.fail(
        name, "unsupported_parameter",
        fmt::format("Unsupported parameter: '{}' is not supported yet.", message.path_of(name)));
  }
}

bool is_token_id(const json& value) {
  const auto id = whole_number(value);
  return id && *id >= 0 && *id <= std::numeric_limits<TokenId>::max();
}

}  // namespace

void parse_messages(Fields& fields, admission::GenerateRequest& request,
                    std::vector<std::string>& ignored) {
  const json* messages = fields.find("messages");
  if (messages == nullptr) return;
  if (!messages->is_array()) return fields.wrong_type("messages", "a list of messages", *messages);
  if (messages->empty()) {
    return fields.fail("messages", "empty_array",
                       "Invalid 'messages': it is empty; at least one message is needed.");
  }
  request.messages.reserve(messages->size());
  for (std::size_t i = 0; i < messages->size() && !fields.failed(); ++i) {
    const json& value = (*messages)[i];
    const std::string name = fmt::format("messages[{}]", i);
    if (!value.is_object()) return fields.wrong_type(name, "an object", value);
    Fields message = fields.within(value, name);
    engine::ChatMessage& out = request.messages.emplace_back();
    parse_role(message, out.role);
    refuse_unsupported(message);
    parse_content(message, out.role == "assistant", out.content);
    message.skip({"refusal", "tool_call_id", "annotations", "reasoning", "reasoning_content"});
    for (std::string& unknown : message.unknown()) {
      unknown.erase(0, name.size());
      unknown.insert(0, "messages[]");
      if (std::find(ignored.begin(), ignored.end(), unknown) == ignored.end()) {
        ignored.push_back(std::move(unknown));
      }
    }
  }
}

void parse_prompt(Fields& fields, const std::string& name, admission::GenerateRequest& request) {
  const json* prompt = fields.find(name);
  if (prompt == nullptr) return;
  const auto is_one = [](const json& value) { return value.is_string() || value.is_array(); };
  if (prompt->is_array() && prompt->size() == 1 && is_one(prompt->front())) {
    prompt = &prompt->front();
  }
  if (prompt->is_string()) {
    request.prompt = prompt->get<std::string>();
    if (!request.prompt->empty()) return;
  } else if (!prompt->is_array()) {
    return fields.wrong_type(name, "a string or a list of token ids", *prompt);
  } else if (std::all_of(prompt->begin(), prompt->end(), is_token_id)) {
    for (const json& id : *prompt) {
      request.prompt_ids.push_back(static_cast<TokenId>(*whole_number(id)));
    }
    if (!request.prompt_ids.empty()) return;
  } else if (std::all_of(prompt->begin(), prompt->end(), is_one)) {
    return fields.fail(name, "unsupported_value",
                       fmt::format("Unsupported '{}': several prompts in one request are not "
                                   "supported yet; send one string or one list of token ids.",
                                   name));
  } else {
    return fields.fail(name, "invalid_value",
                       fmt::format("Invalid '{}': token ids must be integers between 0 and "
                                   "2147483647.",
                                   name));
  }
  fields.fail(name, "invalid_value", fmt::format("Invalid '{}': it must not be empty.", name));
}

}  // namespace aorta::fronts
