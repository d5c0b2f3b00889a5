#pragma once
// `messages` and `prompt` of a request: what the model is asked.
#include "actors/admission/client.hpp"
#include "actors/fronts/fields.hpp"

namespace aorta::fronts {

// OpenAI's message objects. Names of fields that are ignored are added to `ignored`.
void parse_messages(Fields& fields, admission::GenerateRequest& request,
                    std::vector<std::string>& ignored);
// A string, token ids, or a list of one of these.
void parse_prompt(Fields& fields, const std::string& name, admission::GenerateRequest& request);

}  // namespace aorta::fronts
