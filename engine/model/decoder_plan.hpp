#pragma once
// From a model's source to the pack of a decoder: hyperparameters, rope angles, weights.
#include <vector>

#include "base/result.hpp"
#include "engine/model/architectures/architecture.hpp"
#include "engine/model/decoder_config.hpp"
#include "engine/model/pack_plan.hpp"

namespace aorta::engine {

Result<std::vector<PackItem>> plan_decoder(const ModelSource& source,
                                           const Architecture& architecture);

}  // namespace aorta::engine
