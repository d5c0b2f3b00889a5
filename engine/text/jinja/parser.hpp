#pragma once
// Tokens of a template to its syntax tree, by recursive descent with bounded depth.
#include <string_view>

#include "base/result.hpp"
#include "engine/text/jinja/ast.hpp"

namespace aorta::engine::jinja {

// Errors: invalid_argument (not well-formed), unsupported (a statement outside the subset); both
// name the line.
Result<Block> parse(std::string_view source);

}  // namespace aorta::engine::jinja
