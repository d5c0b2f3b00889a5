#pragma once
// The angles of rotary positions (Su et al. 2021), computed once when a model is packed.
#include <vector>

#include "base/result.hpp"
#include "engine/model/decoder_config.hpp"

namespace aorta::engine {

// [context][head_size/2][cos, sin]; position · base^(-2i/size), its frequencies scaled as the
// source says: not, linearly, by llama3's rule, or each by its entry of `factors` (empty: none).
// Errors: corrupt (numbers that scale nothing), unsupported (another scaling, named).
Result<std::vector<float>> rope_table(const ModelSource& source, const DecoderConfig& config,
                                      const std::vector<float>& factors);

}  // namespace aorta::engine
