#pragma once
// What a tokenizer.json says of how text is cut and merged, recognised or refused.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace aorta::engine {

// The name under which PreTokenizer knows its cutting of words. Errors: corrupt (no model),
// unsupported (a model other than byte-level BPE, a normaliser, an expression: named).
Result<std::string> pre_tokenizer_of(const nlohmann::json& tokenizer);

// Whether its post-processor puts `token` before every text.
bool begins_with(const nlohmann::json& tokenizer, std::string_view token);

}  // namespace aorta::engine
