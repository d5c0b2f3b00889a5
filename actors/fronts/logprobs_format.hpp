#pragma once
// Log-probabilities of tokens as OpenAI's clients read them, in chat's form and in completions'.
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "actors/admission/client.hpp"

namespace aorta::fronts {

using TokenLogprobs = admission::Delta::Logprobs;

// A token's bytes as text. Where they end within a character, those above 0x7f are written \xe2.
std::string token_text(std::string_view bytes);

// [{token, logprob, bytes, top_logprobs: [{token, logprob, bytes}]}], a token each.
nlohmann::json logprobs_content(std::span<const TokenLogprobs> tokens);

// Completions': {tokens, token_logprobs, top_logprobs: [{token: logprob}], text_offset}, where the
// token itself is always among the top. `offset`: characters before these tokens; moved on by them.
nlohmann::json legacy_logprobs(std::span<const TokenLogprobs> tokens, std::size_t& offset);

}  // namespace aorta::fronts
