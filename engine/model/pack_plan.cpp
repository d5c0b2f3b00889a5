#include "engine/model/pack_plan.hpp"

#include "engine/model/decoder_plan.hpp"

namespace aorta::engine {

Result<std::vector<PackItem>> plan_pack(const ModelSource& source) {
  auto architecture = find_architecture(source);
  if (!architecture) return architecture.error();
  return plan_decoder(source, **architecture);
}

}  // namespace aorta::engine
