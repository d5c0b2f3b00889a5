#include "actors/fronts/known_fields.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace aorta::fronts {
namespace {

using nlohmann::json;

std::vector<KnownField> make_table() {
  using enum Fate;
  using enum Where;
  return {
      // OpenAI, chat completions and completions.
      {"model"},
      {"messages", chat},
      {"prompt", completion},
      {"n"},
      {"best_of", completion},
      {"max_tokens"},
      {"max_completion_tokens"},
      {"temperature"},
      {"top_p"},
      {"presence_penalty"},
      {"frequency_penalty"},
      {"logit_bias"},
      {"seed"},
      {"stop"},
      {"logprobs"},
      {"top_logprobs", chat},
      {"stream"},
      {"stream_options"},
      {"service_tier"},
      {"user", both, taken},
      {"metadata", both, taken},
      {"store", both, taken},
      {"safety_identifier", both, taken},
      {"prompt_cache_key", both, taken},
      {"prompt_cache_retention", both, taken},
      {"parallel_tool_calls", chat, taken},
      {"tools", chat, refused},
      {"tool_choice", chat, refused, {"none", "auto"}},
      {"functions", chat, refused},
      {"function_call", chat, refused, {"none", "auto"}},
      {"response_format", both, refused, {json{{"type", "text"}}}},
      {"modalities", chat, refused, {json{"text"}}},
      {"audio", chat, refused},
      {"prediction", chat, refused},
      {"reasoning_effort", chat, refused, {"medium"}},
      {"verbosity", chat, refused, {"medium"}},
      {"web_search_options", chat, refused},
      {"echo", both, refused, {false}},
      {"suffix", completion, refused},
      // vLLM's.
      {"top_k"},
      {"min_p"},
      {"repetition_penalty"},
      {"min_tokens"},
      {"ignore_eos"},
      {"stop_token_ids"},
      {"include_reasoning", chat, refused, {true}},
      {"skip_special_tokens", both, refused, {true}},
      {"spaces_between_special_tokens", both, taken},
      {"include_stop_str_in_output", both, refused, {false}},
      {"use_beam_search", both, refused, {false}},
      {"length_penalty", both, refused, {1}},
      {"early_stopping", both, refused, {false}},
      {"prompt_logprobs", both, refused},
      {"truncate_prompt_tokens", both, refused},
      {"allowed_token_ids", both, refused},
      {"bad_words", both, refused},
      {"logits_processors", both, refused},
      {"return_token_ids", both, refused, {false}},
      {"return_tokens_as_token_ids", both, refused, {false}},
      {"add_generation_prompt", chat, refused, {true}},
      {"continue_final_message", chat, refused, {false}},
      {"add_special_tokens", chat, refused, {false}},
      {"add_special_tokens", completion, refused, {true}},
      {"chat_template", chat, refused},
      {"documents", chat, refused},
      {"prompt_embeds", completion, refused},
      {"structured_outputs", both, refused},
      {"structural_tag", both, refused},
      {"guided_json", both, refused},
      {"guided_regex", both, refused},
      {"guided_choice", both, refused},
      {"guided_grammar", both, refused},
      // Aorta's own.
      {"aorta"},
  };
}

bool asks_for_nothing(const json& value, const std::vector<json>& defaults) {
  if ((value.is_string() && value.get_ref<const std::string&>().empty()) ||
      (value.is_structured() && value.empty())) {
    return true;
  }
  return std::find(defaults.begin(), defaults.end(), value) != defaults.end();
}

void refuse(Fields& fields, const KnownField& field) {
  if (fields.is_known(field.name)) return;
  const json* value = fields.find(field.name);
  if (value == nullptr || asks_for_nothing(*value, field.defaults)) return;
  std::string allowed;
  for (const json& one : field.defaults) allowed += one.dump() + ", ";
  fields.fail(
      field.name, "unsupported_parameter",
      fmt::format("Unsupported parameter: '{}' is not supported yet; leave it out{}.", field.name,
                  allowed.empty() ? "" : " or send " + allowed + "which changes nothing"));
}

}  // namespace

std::span<const KnownField> known_fields() {
  static const std::vector<KnownField> table = make_table();
  return table;
}

void settle_known_fields(Fields& fields, Where endpoint) {
  for (const KnownField& field : known_fields()) {
    const bool here =
        field.where == Where::both || endpoint == Where::both || field.where == endpoint;
    if (!here) continue;
    if (field.fate == Fate::taken) fields.skip({field.name});
    if (field.fate == Fate::refused) refuse(fields, field);
  }
}

}  // namespace aorta::fronts
