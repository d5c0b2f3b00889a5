#pragma once
// From what a client sent to what an engine takes: the prompt's ids and the size of the answer, or
// a refusal that says what to change.
#include <variant>
#include <vector>

#include "actors/admission/client.hpp"
#include "actors/admission/options.hpp"

namespace aorta::admission {

struct Intake {
  std::vector<TokenId> prompt;
  std::uint32_t max_tokens = 0;
  engine::Reasoning reasoning = engine::Reasoning::never;
};

// Text that cannot fit the context is refused by its bytes, before it is tokenised. In a rendered
// conversation and in a raw prompt the text of a special token becomes that token, as the model's
// own tools do it: whoever passes on strangers' text decides what it may contain.
std::variant<Intake, Rejected> take_in(const GenerateRequest& request,
                                       const engine::TextModel& model,
                                       const AdmissionOptions& options);

mesh::SamplingFields sampling_fields(const engine::Sampling& sampling);

}  // namespace aorta::admission
