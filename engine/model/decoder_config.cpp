#include "engine/model/decoder_config.hpp"

#include <cmath>

#include "engine/cpu/kernels.hpp"
#include "engine/model/architectures/architecture.hpp"

namespace aorta::engine {
namespace {

Error refuse(const ModelSource& source, ErrorCode code, const std::string& sentence) {
  return Error{code, source.path() + ": " + sentence};
}

// A count from the metadata, at most `limit`: beyond it the file lies or asks for what nothing has.
Result<std::uint32_t> count(const ModelSource& source, const std::string& key,
                            std::uint64_t limit) {
  const auto value = source.get_uint(key);
  const std::string name = source.given_name(key);
  if (!value) {
    return refuse(source, ErrorCode::corrupt,
                  "the metadata lacks " + name + ", which such a model must have");
  }
  if (*value == 0 || *value > limit) {
    return refuse(source, ErrorCode::corrupt,
                  name + " is " + std::to_string(*value) + "; 1 to " + std::to_string(limit) +
                      " are possible");
  }
  return static_cast<std::uint32_t>(*value);
}

Result<void> read_counts(const ModelSource& source, DecoderConfig& config) {
  const struct {
    std::uint32_t DecoderConfig::*member;
    const char* key;
    std::uint64_t limit;
  } fields[] = {
      {&DecoderConfig::layers, "block_count", 1024},
      {&DecoderConfig::hidden, "embedding_length", 1 << 17},
      {&DecoderConfig::feed_forward, "feed_forward_length", 1 << 19},
      {&DecoderConfig::heads, "attention.head_count", 1 << 10},
      {&DecoderConfig::context_tokens, "context_length", 1 << 21},
  };
  for (const auto& field : fields) {
    auto value = count(source, architecture_key(source, field.key), field.limit);
    if (!value) return value.error();
    config.*field.member = *value;
  }
  config.kv_heads = config.heads;
  const std::string kv_heads = architecture_key(source, "attention.head_count_kv");
  if (source.get_uint(kv_heads)) {
    auto value = count(source, kv_heads, config.heads);
    if (!value) return value.error();
    config.kv_heads = *value;
  }
  if (config.heads % config.kv_heads != 0) {
    return refuse(source, ErrorCode::corrupt,
                  std::to_string(config.heads) + " heads do not share " +
                      std::to_string(config.kv_heads) + " KV heads evenly");
  }
  return {};
}

Result<void> read_head_size(const ModelSource& source, DecoderConfig& config) {
  const auto number = [&](const char* key, std::uint64_t otherwise) {
    return source.get_uint(architecture_key(source, key)).value_or(otherwise);
  };
  const std::uint64_t head_size = number("attention.key_length", config.hidden / config.heads);
  const std::uint64_t value_size = number("attention.value_length", head_size);
  const std::uint64_t rotated = number("rope.dimension_count", head_size);
  if (head_size == 0 || head_size % 16 != 0 || head_size > cpu::max_head_size ||
      value_size != head_size || rotated != head_size) {
    return refuse(source, ErrorCode::unsupported,
                  "heads of " + std::to_string(head_size) + " (values " +
                      std::to_string(value_size) + ", rotated " + std::to_string(rotated) +
                      "): one size is supported, a multiple of 16 up to 256, wholly rotated");
  }
  config.head_size = static_cast<std::uint32_t>(head_size);
  if (std::uint64_t{config.context_tokens} * head_size > 1 << 27) {
    return refuse(source, ErrorCode::unsupported,
                  source.given_name(architecture_key(source, "context_length")) + " " +
                      std::to_string(config.context_tokens) +
                      " would need rope tables of more than 512 MiB");
  }
  return {};
}

}  // namespace

Result<DecoderConfig> read_decoder_config(const ModelSource& source,
                                          const Architecture& architecture) {
  if (auto known = architecture.check(source); !known) return known.error();
  DecoderConfig config = {};
  if (auto read = read_counts(source, config); !read) return read.error();
  if (auto read = read_head_size(source, config); !read) return read.error();
  const std::string key = architecture_key(source, "attention.layer_norm_rms_epsilon");
  const auto epsilon = source.get_float(key);
  if (!epsilon || !(*epsilon >= 0.0 && *epsilon < 1.0)) {
    return refuse(source, ErrorCode::corrupt,
                  source.given_name(key) + " is missing or not in [0, 1)");
  }
  config.epsilon = static_cast<float>(*epsilon);
  const SourceTensor* embedding = source.find(decoder::embedding);
  if (embedding == nullptr || embedding->dims.size() != 2 || embedding->dims[1] == 0 ||
      embedding->dims[1] > 1 << 22) {
    return refuse(source, ErrorCode::corrupt,
                  "tensor " + source.given_name(decoder::embedding) +
                      " is missing or not [vocabulary] rows of the hidden size");
  }
  config.vocabulary = static_cast<std::uint32_t>(embedding->dims[1]);
  config.tied_head = source.find(decoder::output) == nullptr ? 1 : 0;
  config.qkv_bias = architecture.qkv_bias ? 1 : 0;
  config.qk_norm = architecture.qk_norm ? 1 : 0;
  return config;
}

}  // namespace aorta::engine
