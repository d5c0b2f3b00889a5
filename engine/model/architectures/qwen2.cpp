// Qwen2 and Qwen2.5 (Yang et al. 2024), DeepSeek-R1-Distill-Qwen: llama's layers with biases on q,
// k and v.
#include "engine/model/architectures/architecture.hpp"

namespace aorta::engine {

const Architecture architecture_qwen2 = {"qwen2", true, false, [](const ModelSource& source) {
                                           return refuse_count(source, "attention.sliding_window",
                                                               "a sliding window");
                                         }};

}  // namespace aorta::engine
