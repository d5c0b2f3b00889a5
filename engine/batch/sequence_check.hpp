#pragma once
// Whether an engine can run a sequence at all, whatever else it runs.
#include "engine/engine.hpp"

namespace aorta::engine {

// Errors: invalid_argument, as Stepper::start says.
Result<void> check_sequence(const Sequence& sequence, const EngineInfo& info);

}  // namespace aorta::engine
