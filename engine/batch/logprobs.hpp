#pragma once
// How likely a model found the token that was chosen, and which it found likeliest.
#include <span>

#include "engine/batch/sampler_scratch.hpp"
#include "engine/engine.hpp"

namespace aorta::engine {

// What NaN, -inf and everything less likely have: finite, so that it can be written anywhere.
inline constexpr float lowest_logprob = -9999.0f;

// The log softmax of raw logits at `chosen`, and of the `top` largest, in the order (logit down, id
// up); fewer when fewer are above -inf. In double, rounded once; +inf counts as the largest float.
// The same bits on every machine. `logits` has an element for `chosen`.
// Takes memory for what it hands over, of the likeliest.
TokenLogprobs logprobs_of(std::span<const float> logits, TokenId chosen, std::uint32_t top,
                          SamplerScratch& scratch);
inline TokenLogprobs logprobs_of(std::span<const float> logits, TokenId chosen, std::uint32_t top) {
  SamplerScratch scratch;
  return logprobs_of(logits, chosen, top, scratch);
}

}  // namespace aorta::engine
