#pragma once
// A model file's own chat template (tokenizer.chat_template), in the environment that
// transformers' apply_chat_template gives it.
#include <string>
#include <vector>

#include "base/result.hpp"
#include "engine/text/jinja/ast.hpp"
#include "engine/text/text_model.hpp"

namespace aorta::engine {

class ChatTemplate {
 public:
  // Errors: corrupt (not well-formed), unsupported (a statement outside the subset); with the line.
  static Result<ChatTemplate> parse(std::string_view source);

  struct Conversation {
    const std::vector<ChatMessage>& messages;
    bool add_generation_prompt = true;
    std::string_view bos_token, eos_token;
  };
  // Errors: those of TextModel::render.
  Result<std::string> render(const Conversation& conversation) const;

 private:
  explicit ChatTemplate(jinja::Block block) : block_(std::move(block)) {}
  jinja::Block block_;
};

}  // namespace aorta::engine
