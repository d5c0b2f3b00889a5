#pragma once
// A served model's tokenizer for clients, as vLLM's /tokenize and /detokenize; on ZeroMQ too. No
// executor is asked.
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "actors/admission/client.hpp"
#include "actors/fronts/api_error.hpp"

namespace aorta::fronts {

struct TextAnswer {
  nlohmann::json body;
  std::vector<std::string> ignored;  // fields without effect
};

// {prompt | messages, add_special_tokens, add_generation_prompt, return_token_strs, model} →
// {count, max_model_len, tokens, token_strs?}: the ids that the same prompt or messages have when
// they are answered.
std::variant<TextAnswer, ApiError> tokenize(const nlohmann::json& body,
                                            const admission::ClientPort& port);
// {tokens, model} → {prompt}. Bytes that are not UTF-8 become U+FFFD.
std::variant<TextAnswer, ApiError> detokenize(const nlohmann::json& body,
                                              const admission::ClientPort& port);

}  // namespace aorta::fronts
