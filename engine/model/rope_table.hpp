#pragma once
// The angles of rotary positions (Su et al. 2021), computed once when a model is packed.
#include <vector>

#include "base/result.hpp"
#include "engine/model/decoder_config.hpp"

namespace aorta::engine {

// What a position is multiplied by for each pair of a head: base^(-2i/size), scaled as the source
// says: not, linearly, by llama3's rule, or each by its entry of `factors` (empty: none). Errors:
// corrupt (numbers that scale nothing), unsupported (another scaling, named).
Result<std::vector<double>> rope_frequencies(const ModelSource& source, const DecoderConfig& config,
                                             const std::vector<float>& factors);

// [positions][frequencies][cos, sin], in double and rounded once.
std::vector<float> rope_table(const std::vector<double>& frequencies, std::uint32_t positions);

}  // namespace aorta::engine
