#pragma once
// The numbers of a llama model, as its pack keeps them (entry "config"), and the names of its
// tensors, which are GGUF's.
#include <cstdint>
#include <string>

namespace aorta::engine {

struct LlamaConfig {
  std::uint32_t layers;
  std::uint32_t hidden;  // width of the residual stream
  std::uint32_t feed_forward;
  std::uint32_t heads, kv_heads, head_size;
  std::uint32_t vocabulary;
  std::uint32_t context_tokens;
  float epsilon;            // of the RMS norms
  std::uint32_t tied_head;  // 1: the logits are made by the embedding table
};

namespace llama {
inline constexpr char config[] = "config";  // LlamaConfig
inline constexpr char rope[] = "rope";      // [context][head_size/2][cos, sin]
inline constexpr char embedding[] = "token_embd.weight";
inline constexpr char output_norm[] = "output_norm.weight";
inline constexpr char output[] = "output.weight";
inline constexpr char rope_factors[] = "rope_freqs.weight";
inline std::string layer(std::uint32_t index, const char* part) {
  return "blk." + std::to_string(index) + "." + part + ".weight";
}
}  // namespace llama

}  // namespace aorta::engine
