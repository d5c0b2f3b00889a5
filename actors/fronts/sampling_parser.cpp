#include "actors/fronts/sampling_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

namespace aorta::fronts {
namespace {

using admission::GenerateRequest;
using nlohmann::json;

constexpr std::size_t most_stops = 16;
constexpr std::size_t most_stop_bytes = 1024;
constexpr std::size_t most_biases = 1024;
constexpr std::int64_t most_choices = 128;      // OpenAI's
constexpr std::int64_t most_top_logprobs = 20;  // OpenAI's
constexpr std::int64_t most_tokens = std::numeric_limits<std::int32_t>::max();

void parse_logit_bias(Fields& fields, engine::Sampling& sampling) {
  const json* biases = fields.find("logit_bias");
  if (biases == nullptr) return;
  if (!biases->is_object()) return fields.wrong_type("logit_bias", "an object", *biases);
  if (biases->size() > most_biases) {
    return fields.fail("logit_bias", "invalid_value",
                       fmt::format("Invalid 'logit_bias': it names {} tokens and may name {}.",
                                   biases->size(), most_biases));
  }
  for (const auto& [name, value] : biases->items()) {
    TokenId id = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (error != std::errc{} || end != name.data() + name.size() || id < 0) {
      return fields.fail("logit_bias", "invalid_value",
                         fmt::format("Invalid 'logit_bias': '{:.32}' is no token id; names must be "
                                     "integers from 0 on.",
                                     name));
    }
    float bias = 0;
    fields.within(*biases, "logit_bias").number(name, bias, -100, 100);
    sampling.logit_bias.emplace_back(id, bias);
  }
  std::sort(sampling.logit_bias.begin(), sampling.logit_bias.end());
}

void parse_stop_ids(Fields& fields, GenerateRequest& request) {
  const json* ids = fields.find("stop_token_ids");
  if (ids == nullptr) return;
  if (!ids->is_array()) return fields.wrong_type("stop_token_ids", "a list of token ids", *ids);
  if (ids->size() > most_stops) {
    return fields.fail("stop_token_ids", "array_above_max_length",
                       fmt::format("Invalid 'stop_token_ids': it has {} ids and may have {}.",
                                   ids->size(), most_stops));
  }
  for (const json& value : *ids) {
    const auto id = whole_number(value);
    if (!id || *id < 0 || *id > most_tokens) {
      return fields.fail("stop_token_ids", "invalid_value",
                         "Invalid 'stop_token_ids': token ids must be integers from 0 on.");
    }
    request.stop_ids.push_back(static_cast<TokenId>(*id));
  }
}

}  // namespace

void parse_seed(Fields& fields, GenerateRequest& request) {
  const json* seed = fields.find("seed");
  if (seed == nullptr) return;
  if (seed->is_number_unsigned()) {  // the upper half of uint64 is a seed too
    request.sampling.seed = seed->get<std::uint64_t>();
  } else if (const auto whole = fields.integer("seed", std::numeric_limits<std::int64_t>::min(),
                                               std::numeric_limits<std::int64_t>::max())) {
    request.sampling.seed = static_cast<std::uint64_t>(*whole);
  }
  request.seed_given = true;
}

void parse_sampling(Fields& fields, GenerateRequest& request) {
  engine::Sampling& sampling = request.sampling;
  request.sampling_given = fields.find("temperature") != nullptr || fields.find("top_p") != nullptr;
  fields.number("temperature", sampling.temperature, 0, 2);
  fields.number("top_p", sampling.top_p, 0, 1);
  fields.number("min_p", sampling.min_p, 0, 1);
  fields.number("presence_penalty", sampling.presence_penalty, -2, 2);
  fields.number("frequency_penalty", sampling.frequency_penalty, -2, 2);
  fields.number("repetition_penalty", sampling.repetition_penalty, 0.01, 10);
  const auto top_k = fields.integer("top_k", -1, most_tokens);  // −1 is vLLM's way to say all
  if (top_k) sampling.top_k = static_cast<std::uint32_t>(std::max<std::int64_t>(*top_k, 0));
  parse_logit_bias(fields, sampling);
  parse_seed(fields, request);
}

void parse_stop(Fields& fields, GenerateRequest& request) {
  parse_stop_ids(fields, request);
  const json* stop = fields.find("stop");
  if (stop == nullptr) return;
  const json list = stop->is_array() ? *stop : json::array({*stop});
  if (list.size() > most_stops) {
    return fields.fail(
        "stop", "array_above_max_length",
        fmt::format("Invalid 'stop': it has {} strings and may have {}.", list.size(), most_stops));
  }
  for (const json& value : list) {
    if (!value.is_string()) {
      return fields.wrong_type("stop", "a string or a list of strings", value);
    }
    const auto& text = value.get_ref<const std::string&>();
    if (text.empty() || text.size() > most_stop_bytes) {
      return fields.fail("stop", "invalid_value",
                         fmt::format("Invalid 'stop': a stop string has {} bytes; it must have 1 "
                                     "to {}.",
                                     text.size(), most_stop_bytes));
    }
    request.stop.push_back(text);
  }
}

void parse_length(Fields& fields, GenerateRequest& request) {
  const auto old_name = fields.integer("max_tokens", 1, most_tokens);
  const auto new_name = fields.integer("max_completion_tokens", 1, most_tokens);
  if (old_name && new_name && *old_name != *new_name) {
    return fields.fail("max_tokens", "invalid_value",
                       "'max_tokens' and 'max_completion_tokens' differ; send only one of them.");
  }
  if (const auto most = new_name ? new_name : old_name) {
    request.max_tokens = static_cast<std::uint32_t>(*most);
  }
  if (const auto least = fields.integer("min_tokens", 0, most_tokens)) {
    request.min_tokens = static_cast<std::uint32_t>(*least);
  }
  if (request.max_tokens && request.min_tokens > *request.max_tokens) {
    fields.fail("min_tokens", "invalid_value",
                fmt::format("Invalid 'min_tokens': {} is more than 'max_tokens', {}.",
                            request.min_tokens, *request.max_tokens));
  }
  fields.boolean("ignore_eos", request.ignore_eos);
}

void parse_choices(Fields& fields, GenerateRequest& request) {
  const auto choices = fields.integer("n", 1, most_choices);
  if (choices) request.choices = static_cast<std::uint32_t>(*choices);
  const auto drawn = fields.integer("best_of", 1, most_choices);
  if (drawn && *drawn != 1 && *drawn != request.choices) {
    fields.fail("best_of", "unsupported_parameter",
                "Unsupported parameter: 'best_of' is not supported yet; leave it out or send the "
                "same as 'n'.");
  }
}

namespace {

// A flag with a number beside it.
void parse_chat_logprobs(Fields& fields, const json* wanted, GenerateRequest& request) {
  const auto top = fields.integer("top_logprobs", 0, most_top_logprobs);
  if (wanted != nullptr && wanted->get<bool>()) {
    request.top_logprobs = static_cast<std::uint32_t>(top.value_or(0));
  } else if (top.value_or(0) > 0) {
    fields.fail("top_logprobs", "invalid_value",
                "Invalid 'top_logprobs': it is only allowed when 'logprobs' is true.");
  }
}

}  // namespace

void parse_logprobs(Fields& fields, Where endpoint, GenerateRequest& request) {
  const json* wanted = fields.find("logprobs");
  const bool flag = wanted == nullptr || wanted->is_boolean();
  if (flag && endpoint != Where::completion) return parse_chat_logprobs(fields, wanted, request);
  if (endpoint == Where::chat) return fields.wrong_type("logprobs", "a boolean", *wanted);
  if (wanted == nullptr || *wanted == false) return;
  const auto count = fields.integer("logprobs", 0, most_top_logprobs);
  if (count) request.top_logprobs = static_cast<std::uint32_t>(*count);
}

}  // namespace aorta::fronts
