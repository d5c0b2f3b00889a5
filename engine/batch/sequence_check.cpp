#include "engine/batch/sequence_check.hpp"

#include <fmt/core.h>

namespace aorta::engine {
namespace {

Error invalid(std::string message) { return {ErrorCode::invalid_argument, std::move(message)}; }

}  // namespace

Result<void> check_sequence(const Sequence& sequence, const EngineInfo& info) {
  const std::size_t length = sequence.ids.size();
  if (sequence.prompt_tokens == 0) return invalid("the prompt is empty: give at least one token");
  if (sequence.prompt_tokens > length) {
    return invalid(
        fmt::format("prompt_tokens is {}, but only {} ids came", sequence.prompt_tokens, length));
  }
  if (sequence.max_tokens <= length - sequence.prompt_tokens) {
    return invalid(
        fmt::format("max_tokens is {} and {} tokens are generated: nothing is left to do",
                    sequence.max_tokens, length - sequence.prompt_tokens));
  }
  if (length >= info.context_tokens) {
    return invalid(
        fmt::format("{} tokens leave no room for an answer in a context of {}: shorten "
                    "the prompt",
                    length, info.context_tokens));
  }
  if (sequence.top_logprobs.value_or(0) > max_top_logprobs) {
    return invalid(fmt::format("top_logprobs is {}: at most {} can be given",
                               *sequence.top_logprobs, max_top_logprobs));
  }
  for (const TokenId id : sequence.ids) {
    if (id < 0 || static_cast<std::uint32_t>(id) >= info.vocabulary) {
      return invalid(
          fmt::format("token id {} is outside the vocabulary of {}", id, info.vocabulary));
    }
  }
  return {};
}

}  // namespace aorta::engine
