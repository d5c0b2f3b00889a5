#include "engine/model/llama_config.hpp"

#include <cmath>

#include "engine/cpu/kernels.hpp"
#include "engine/model/gguf_reader.hpp"
#include "engine/model/llama_plan.hpp"

namespace aorta::engine {
namespace {

Error refuse(const GgufFile& file, ErrorCode code, const std::string& sentence) {
  return Error{code, file.path() + ": " + sentence};
}

// A count from the metadata, at most `limit`: beyond it the file lies or asks for what nothing has.
Result<std::uint32_t> count(const GgufFile& file, const char* key, std::uint64_t limit) {
  const auto value = file.get_uint(key);
  if (!value) {
    return refuse(file, ErrorCode::corrupt,
                  std::string("the metadata lacks ") + key + ", which a llama model must have");
  }
  if (*value == 0 || *value > limit) {
    return refuse(file, ErrorCode::corrupt,
                  std::string(key) + " is " + std::to_string(*value) + "; 1 to " +
                      std::to_string(limit) + " are possible");
  }
  return static_cast<std::uint32_t>(*value);
}

// Things that would change the arithmetic and that this architecture file does not compute.
Result<void> refuse_unknown_features(const GgufFile& file) {
  if (file.get_uint("llama.expert_count").value_or(0) > 0) {
    return refuse(file, ErrorCode::unsupported,
                  "llama with experts (llama.expert_count) is not supported, dense llama is");
  }
  const auto scaling = file.get_string("llama.rope.scaling.type").value_or("none");
  if (scaling != "none" && scaling != "linear") {
    return refuse(file, ErrorCode::unsupported,
                  "llama.rope.scaling.type '" + printable(scaling) +
                      "' is not one of: none, linear, or llama3's rope_freqs.weight");
  }
  return {};
}

}  // namespace

Result<LlamaConfig> read_llama_config(const GgufFile& file) {
  if (auto known = refuse_unknown_features(file); !known) return known.error();
  LlamaConfig config = {};
  struct Field {
    std::uint32_t LlamaConfig::*member;
    const char* key;
    std::uint64_t limit;
  };
  const Field fields[] = {
      {&LlamaConfig::layers, "llama.block_count", 1024},
      {&LlamaConfig::hidden, "llama.embedding_length", 1 << 17},
      {&LlamaConfig::feed_forward, "llama.feed_forward_length", 1 << 19},
      {&LlamaConfig::heads, "llama.attention.head_count", 1 << 10},
      {&LlamaConfig::context_tokens, "llama.context_length", 1 << 21},
  };
  for (const Field& field : fields) {
    auto value = count(file, field.key, field.limit);
    if (!value) return value.error();
    config.*field.member = *value;
  }
  config.kv_heads = config.heads;
  if (file.get_uint("llama.attention.head_count_kv")) {
    auto value = count(file, "llama.attention.head_count_kv", config.heads);
    if (!value) return value.error();
    config.kv_heads = *value;
  }
  if (config.heads % config.kv_heads != 0) {
    return refuse(file, ErrorCode::corrupt,
                  std::to_string(config.heads) + " heads do not share " +
                      std::to_string(config.kv_heads) + " KV heads evenly");
  }
  const std::uint64_t head_size =
      file.get_uint("llama.attention.key_length").value_or(config.hidden / config.heads);
  const std::uint64_t value_size =
      file.get_uint("llama.attention.value_length").value_or(head_size);
  const std::uint64_t rotated = file.get_uint("llama.rope.dimension_count").value_or(head_size);
  if (head_size == 0 || head_size % 16 != 0 || head_size > cpu::max_head_size ||
      value_size != head_size || rotated != head_size) {
    return refuse(file, ErrorCode::unsupported,
                  "heads of " + std::to_string(head_size) + " (values " +
                      std::to_string(value_size) + ", rotated " + std::to_string(rotated) +
                      "): one size is supported, a multiple of 16 up to 256, wholly rotated");
  }
  config.head_size = static_cast<std::uint32_t>(head_size);
  if (std::uint64_t{config.context_tokens} * head_size > 1 << 27) {
    return refuse(file, ErrorCode::unsupported,
                  "llama.context_length " + std::to_string(config.context_tokens) +
                      " would need rope tables of more than 512 MiB");
  }
  const auto epsilon = file.get_float("llama.attention.layer_norm_rms_epsilon");
  if (!epsilon || !(*epsilon >= 0.0 && *epsilon < 1.0)) {
    return refuse(file, ErrorCode::corrupt,
                  "llama.attention.layer_norm_rms_epsilon is missing or not in [0, 1)");
  }
  config.epsilon = static_cast<float>(*epsilon);
  const GgufTensor* embedding = file.find(llama::embedding);
  if (embedding == nullptr || embedding->dims.size() != 2 || embedding->dims[1] == 0 ||
      embedding->dims[1] > 1 << 22) {
    return refuse(file, ErrorCode::corrupt,
                  "tensor token_embd.weight is missing or not [embedding_length, vocabulary]");
  }
  config.vocabulary = static_cast<std::uint32_t>(embedding->dims[1]);
  config.tied_head = file.find(llama::output) == nullptr ? 1 : 0;
  return config;
}

}  // namespace aorta::engine
