#pragma once
// How an answer is drawn, how long it is, how many there are and what is told of each token.
#include "actors/admission/client.hpp"
#include "actors/fronts/known_fields.hpp"

namespace aorta::fronts {

void parse_sampling(Fields& fields, admission::GenerateRequest& request);
void parse_seed(Fields& fields, admission::GenerateRequest& request);
void parse_stop(Fields& fields, admission::GenerateRequest& request);
void parse_length(Fields& fields, admission::GenerateRequest& request);
void parse_choices(Fields& fields, admission::GenerateRequest& request);
// Chat's: a flag, and `top_logprobs` beside it. Completions': the number itself. Either, where an
// endpoint takes both.
void parse_logprobs(Fields& fields, Where endpoint, admission::GenerateRequest& request);

}  // namespace aorta::fronts
