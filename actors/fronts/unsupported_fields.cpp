#include "actors/fronts/unsupported_fields.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace aorta::fronts {
namespace {

using nlohmann::json;

struct Unsupported {
  const char* name;
  std::vector<json> neutral;  // values, beside null and empty, that ask for nothing
};

// From OpenAI's reference of chat completions and completions, September 2025.
const std::vector<Unsupported>& unsupported_fields() {
  static const std::vector<Unsupported> fields = {
      {"n", {1}},
      {"best_of", {1}},
      {"logprobs", {false}},
      {"top_logprobs", {0}},
      {"echo", {false}},
      {"suffix", {}},
      {"tools", {}},
      {"tool_choice", {"none", "auto"}},
      {"parallel_tool_calls", {true, false}},
      {"functions", {}},
      {"function_call", {"none", "auto"}},
      {"response_format", {json{{"type", "text"}}}},
      {"modalities", {json{"text"}}},
      {"audio", {}},
      {"prediction", {}},
      {"reasoning_effort", {"medium"}},
      {"verbosity", {"medium"}},
      {"web_search_options", {}},
  };
  return fields;
}

bool asks_for_nothing(const json& value, const std::vector<json>& neutral) {
  if ((value.is_string() && value.get_ref<const std::string&>().empty()) ||
      (value.is_structured() && value.empty())) {
    return true;
  }
  return std::find(neutral.begin(), neutral.end(), value) != neutral.end();
}

}  // namespace

void refuse_unsupported(Fields& fields) {
  for (const Unsupported& field : unsupported_fields()) {
    const json* value = fields.find(field.name);
    if (value == nullptr || asks_for_nothing(*value, field.neutral)) continue;
    std::string allowed;
    for (const json& neutral : field.neutral) allowed += neutral.dump() + ", ";
    fields.fail(
        field.name, "unsupported_parameter",
        fmt::format("Unsupported parameter: '{}' is not supported yet; leave it out{}.", field.name,
                    allowed.empty() ? "" : " or send " + allowed + "which changes nothing"));
  }
}

}  // namespace aorta::fronts
