#pragma once
// From a client's JSON object (HTTP) or map (ZeroMQ) to a GenerateRequest. Fields, defaults and
// sentences follow OpenAI's API reference and vLLM's extensions (known_fields.cpp); `aorta` holds
// what only Aorta has.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

#include "actors/admission/client.hpp"
#include "actors/fronts/api_error.hpp"

namespace aorta::fronts {

enum class Endpoint {
  chat,        // POST /v1/chat/completions: `messages`
  completion,  // POST /v1/completions: `prompt`
  inference,   // POST /v1/inference: `text`, and one text is the answer
  generate,    // ZeroMQ: messages or a prompt
};

// What came beside the body, as HTTP headers; empty when absent.
struct RequestHints {
  std::string tier;
  std::string idempotency_key;
};

struct ParsedRequest {
  admission::GenerateRequest generate;  // without id; without a seed unless one was given
  bool stream = false;
  bool include_usage = false;
  bool continuous_usage = false;     // with each chunk; vLLM's
  std::vector<std::string> ignored;  // fields that are not ours, by path
};

// The first thing wrong is the answer. A field of OpenAI's that cannot be honoured yet is an error
// that names it, unless it asks for nothing (null, empty or its default).
std::variant<ParsedRequest, ApiError> parse_request(const nlohmann::json& body, Endpoint endpoint,
                                                    const RequestHints& hints);

}  // namespace aorta::fronts
