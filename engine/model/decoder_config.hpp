#pragma once
// The numbers of a decoder, as its pack keeps them (entry "config"), and the names of its tensors,
// which are GGUF's.
#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "engine/model/model_source.hpp"

namespace aorta::engine {

struct DecoderConfig {
  std::uint32_t layers;
  std::uint32_t hidden;  // width of the residual stream
  std::uint32_t feed_forward;
  std::uint32_t heads, kv_heads, head_size;
  std::uint32_t vocabulary;
  std::uint32_t context_tokens;
  float epsilon;            // of the RMS norms
  std::uint32_t tied_head;  // 1: the logits are made by the embedding table
  std::uint32_t qkv_bias;   // 1: q, k and v have biases
  std::uint32_t qk_norm;    // 1: each head of q and k is normalised before its rotation
};

namespace decoder {
inline constexpr char config[] = "config";  // DecoderConfig
inline constexpr char rope[] = "rope";      // [context][head_size/2][cos, sin]
inline constexpr char embedding[] = "token_embd.weight";
inline constexpr char output_norm[] = "output_norm.weight";
inline constexpr char output[] = "output.weight";
inline constexpr char rope_factors[] = "rope_freqs.weight";
inline std::string layer(std::uint32_t index, const char* part, const char* kind = "weight") {
  return "blk." + std::to_string(index) + "." + part + "." + kind;
}
}  // namespace decoder

struct Architecture;

// Errors: corrupt, unsupported, each naming the key and its value.
Result<DecoderConfig> read_decoder_config(const ModelSource& source,
                                          const Architecture& architecture);

}  // namespace aorta::engine
