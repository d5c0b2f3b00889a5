#pragma once
// From logits to a token, the same on every machine: float and double arithmetic in a fixed order,
// our own exp, and one Philox draw that depends only on (seed, choice, index of the token).
#include <cstdint>
#include <span>

#include "engine/batch/logit_kernels.hpp"
#include "engine/batch/sampler_scratch.hpp"
#include "engine/engine.hpp"

namespace aorta::engine {

// Chooses the token after `ids` (prompt, then generated). Nothing is remembered between calls:
// penalties are counted from `ids`, so a resumed answer chooses as an undisturbed one. A scratch
// made for the vocabulary is all the memory that it takes.
//
// In vLLM's order:
//   1. logit_bias is added
//   2. repetition_penalty, once per id in prompt or answer: logit > 0 ? logit / p : logit · p
//   3. frequency_penalty × count and presence_penalty, per id in the answer (OpenAI)
//   4. `banned` ids fall out
//   5. temperature; 0 ends here with the largest logit, the smaller id on a tie
//   6. min_p, against the most likely token
//   7. top_k: exactly k, in the order (logit down, id up)
//   8. top_p: the fewest in that order that hold top_p of what min_p and top_k left; at least one
//   9. one uniform draw over what is left, in that order
// The whole vocabulary's mass is summed in id order in 8 lanes, a shorter list in its own order.
//
// NaN counts as -inf, +inf as the largest float. When no id has a logit above -inf the answer is
// the smallest id that is not banned, and 0 when all are. Ids outside the vocabulary in `banned`,
// `logit_bias` or `ids` are ignored. `logits` must not be empty.
TokenId choose_token(std::span<const float> logits, const Sampling& sampling,
                     std::span<const TokenId> ids, std::uint32_t prompt_tokens,
                     std::uint32_t generated_index, std::span<const TokenId> banned,
                     SamplerScratch& scratch, const LogitKernels& kernels = best_logit_kernels());
inline TokenId choose_token(std::span<const float> logits, const Sampling& sampling,
                            std::span<const TokenId> ids, std::uint32_t prompt_tokens,
                            std::uint32_t generated_index, std::span<const TokenId> banned,
                            const LogitKernels& kernels = best_logit_kernels()) {
  SamplerScratch scratch;
  return choose_token(logits, sampling, ids, prompt_tokens, generated_index, banned, scratch,
                      kernels);
}

}  // namespace aorta::engine
