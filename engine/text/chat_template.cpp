#include "engine/text/chat_template.hpp"

#include "engine/text/jinja/evaluator.hpp"
#include "engine/text/jinja/parser.hpp"

namespace aorta::engine {

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  auto block = jinja::parse(source);
  if (block) return ChatTemplate(std::move(*block));
  Error error = block.error();
  if (error.code == ErrorCode::invalid_argument) error.code = ErrorCode::corrupt;
  return error;
}

Result<std::string> ChatTemplate::render(const Conversation& conversation) const {
  using jinja::make_string;
  using jinja::Value;
  std::vector<Value> messages;
  messages.reserve(conversation.messages.size());
  for (const ChatMessage& message : conversation.messages) {
    messages.push_back(jinja::make_dict(
        {{"role", make_string(message.role)}, {"content", make_string(message.content)}}));
  }
  // tools and documents are none, not undefined, when a request has none.
  jinja::Variables variables = {
      {"messages", jinja::make_list(std::move(messages))},
      {"add_generation_prompt", Value(conversation.add_generation_prompt)},
      {"bos_token", make_string(std::string(conversation.bos_token))},
      {"eos_token", make_string(std::string(conversation.eos_token))},
      {"tools", Value(jinja::None{})},
      {"documents", Value(jinja::None{})}};
  return jinja::evaluate(block_, std::move(variables));
}

}  // namespace aorta::engine
