#pragma once
// Runs the syntax tree of a chat template.
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "engine/text/jinja/ast.hpp"
#include "engine/text/jinja/runtime.hpp"

namespace aorta::engine::jinja {

using Variables = std::vector<std::pair<std::string, Value>>;

// Errors: invalid_argument (raise_exception, undefined values, wrong types), unsupported (a
// filter, test, method or function outside the subset), resource_exhausted (beyond the limits).
Result<std::string> evaluate(const Block& block, Variables variables, const Limits& limits = {});

}  // namespace aorta::engine::jinja
