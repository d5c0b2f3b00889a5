#pragma once
// What sets one architecture apart from the others that the decoder computes. One file each.
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "engine/model/model_source.hpp"

namespace aorta::engine {

struct Architecture {
  const char* name;  // general.architecture of GGUF, model_type of config.json
  bool qkv_bias;
  bool qk_norm;
  // Refuses what would change the arithmetic and is not computed here. Errors: unsupported.
  Result<void> (*check)(const ModelSource& source);
};

extern const Architecture architecture_llama, architecture_qwen2, architecture_qwen3;

// Errors: corrupt (the source names none), unsupported (none of these).
Result<const Architecture*> find_architecture(const ModelSource& source);

// NAME.key, as GGUF spells the keys of an architecture.
std::string architecture_key(const ModelSource& source, std::string_view key);

// Refuses NAME.key when it is a number above 0, saying that `feature` is not supported.
Result<void> refuse_count(const ModelSource& source, std::string_view key,
                          std::string_view feature);

}  // namespace aorta::engine
