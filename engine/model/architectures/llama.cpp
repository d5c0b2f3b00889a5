// Llama (Touvron et al. 2023; Llama 3: Dubey et al. 2024): RMS norms, grouped-query attention with
// rotary positions, SwiGLU. Llama 3 stretches the rotation's long wavelengths: its GGUF files
// have the factors as rope_freqs.weight, its config.json the rule.
#include "engine/model/architectures/architecture.hpp"

namespace aorta::engine {

const Architecture architecture_llama = {"llama", false, false, [](const ModelSource& source) {
                                           return refuse_count(source, "expert_count", "experts");
                                         }};

}  // namespace aorta::engine
