#include "engine/model/pack_plan.hpp"

#include "engine/model/llama_plan.hpp"

namespace aorta::engine {

Result<std::vector<PackItem>> plan_pack(const GgufFile& file) {
  const auto architecture = file.get_string("general.architecture");
  if (!architecture) {
    return Error{ErrorCode::corrupt,
                 file.path() + ": the metadata names no general.architecture; is it a model?"};
  }
  if (*architecture == "llama") return plan_llama(file);
  return Error{ErrorCode::unsupported, file.path() + ": architecture '" +
                                           std::string(*architecture) + "' is not one of: llama"};
}

}  // namespace aorta::engine
