#pragma once
// Fields of OpenAI's API that Aorta knows and cannot honour yet.
#include "actors/fronts/fields.hpp"

namespace aorta::fronts {

// Marks them all as known; one that asks for something is the error.
void refuse_unsupported(Fields& fields);

}  // namespace aorta::fronts
