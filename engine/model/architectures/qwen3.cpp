// Qwen3 (Yang et al. 2025): llama's layers with an RMS norm on every head of q and k before its
// rotation, and heads whose size does not follow from the hidden size.
#include "engine/model/architectures/architecture.hpp"

namespace aorta::engine {

const Architecture architecture_qwen3 = {"qwen3", false, true, [](const ModelSource& source) {
                                           return refuse_count(source, "attention.sliding_window",
                                                               "a sliding window");
                                         }};

}  // namespace aorta::engine
