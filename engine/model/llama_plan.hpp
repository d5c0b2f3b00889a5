#pragma once
// From a GGUF file of architecture `llama` to its pack: hyperparameters, rope angles, weights.
#include <vector>

#include "base/result.hpp"
#include "engine/model/llama_config.hpp"
#include "engine/model/pack_plan.hpp"

namespace aorta::engine {

// Errors: corrupt, unsupported, each naming the key and its value.
Result<LlamaConfig> read_llama_config(const GgufFile& file);

Result<std::vector<PackItem>> plan_llama(const GgufFile& file);

}  // namespace aorta::engine
