#include "actors/fronts/request_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "actors/fronts/conversation_parser.hpp"
#include "actors/fronts/fields.hpp"
#include "actors/fronts/json_text.hpp"
#include "actors/fronts/unsupported_fields.hpp"

namespace aorta::fronts {
namespace {

using admission::GenerateRequest;
using admission::OnDisconnect;
using mesh::Tier;
using nlohmann::json;

constexpr std::size_t most_model_bytes = 256;
constexpr std::size_t most_stops = 16;
constexpr std::size_t most_stop_bytes = 1024;
constexpr std::size_t most_biases = 1024;
constexpr std::size_t most_key_bytes = 255;
constexpr std::size_t most_class_bytes = 64;
constexpr std::int64_t most_tokens = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t day_ms = 24 * 3600 * 1000;

const std::initializer_list<std::pair<std::string_view, Tier>> tiers = {
    {"urgent", Tier::urgent}, {"high", Tier::high}, {"normal", Tier::normal}};

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

// From the least to the most specific: OpenAI's service_tier, a header (which a proxy may set), the
// body's own word.
void parse_tier(Fields& fields, const RequestHints& hints, GenerateRequest& request) {
  fields.choice("service_tier", request.tier,
                {{"priority", Tier::urgent},
                 {"flex", Tier::normal},
                 {"auto", request.tier},
                 {"default", request.tier}});
  if (hints.tier.empty()) return;
  const json header = {{"X-Aorta-Tier", hints.tier}};
  std::optional<ApiError> error;
  Fields(header, "", error).choice("X-Aorta-Tier", request.tier, tiers);
  if (error) fields.fail(error->param, error->code, error->message);
}

void parse_aorta(Fields& fields, GenerateRequest& request, std::vector<std::string>& ignored) {
  const json* value = fields.find("aorta");
  if (value == nullptr) return;
  if (!value->is_object()) return fields.wrong_type("aorta", "an object", *value);
  Fields aorta = fields.within(*value, "aorta");
  aorta.choice("tier", request.tier, tiers);
  // Without API keys there is one tenant, so its classes have no effect: said in `ignored`.
  std::string tenant_class;
  aorta.text("tenant_class", tenant_class, most_class_bytes);
  if (!tenant_class.empty()) ignored.push_back(aorta.path_of("tenant_class"));
  if (const auto ms = aorta.integer("timeout_ms", 1, day_ms)) {
    request.timeout_ms = static_cast<std::uint32_t>(*ms);
  }
  aorta.choice("determinism", request.determinism,
               {{"prefer", mesh::Determinism::prefer}, {"strict", mesh::Determinism::strict}});
  OnDisconnect then{};
  const bool said = aorta.find("on_disconnect") != nullptr;
  aorta.choice("on_disconnect", then,
               {{"cancel", OnDisconnect::cancel},
                {"park", OnDisconnect::park},
                {"finish", OnDisconnect::finish}});
  if (said) request.on_disconnect = then;
  for (std::string& name : aorta.unknown()) ignored.push_back(std::move(name));
}

// A retry is the same request however it is streamed, numbered or acknowledged.
std::string digest_of(json body) {
  for (const char* transport : {"stream", "stream_options", "id", "acks", "idempotency_key"}) {
    body.erase(transport);
  }
  const std::string text = dump_json(body);  // names in order: nlohmann's objects are sorted
  return fmt::format("{:016x}{:016x}", stable_hash(text), stable_hash(text, text.size() + 1));
}

void parse_key(Fields& fields, Endpoint endpoint, const RequestHints& hints, const json& body,
               GenerateRequest& request) {
  request.idempotency_key = hints.idempotency_key;
  if (endpoint == Endpoint::generate) {
    fields.text("idempotency_key", request.idempotency_key, most_key_bytes);
  } else if (hints.idempotency_key.size() > most_key_bytes) {
    fields.fail("Idempotency-Key", "string_above_max_length",
                fmt::format("Invalid 'Idempotency-Key': it has {} bytes and may have {}.",
                            hints.idempotency_key.size(), most_key_bytes));
  }
  if (!request.idempotency_key.empty()) request.body_digest = digest_of(body);
}

void parse_stream(Fields& fields, ParsedRequest& parsed) {
  fields.boolean("stream", parsed.stream);
  const json* options = fields.find("stream_options");
  if (options == nullptr) return;
  if (!options->is_object()) return fields.wrong_type("stream_options", "an object", *options);
  if (!parsed.stream) {
    return fields.fail("stream_options", "invalid_value",
                       "Invalid 'stream_options': it is only allowed when 'stream' is true.");
  }
  Fields inner = fields.within(*options, "stream_options");
  inner.boolean("include_usage", parsed.include_usage);
  inner.skip({"include_obfuscation"});
  for (std::string& name : inner.unknown()) parsed.ignored.push_back(std::move(name));
}

void parse_question(Fields& fields, Endpoint endpoint, ParsedRequest& parsed) {
  GenerateRequest& request = parsed.generate;
  if (endpoint != Endpoint::completion) parse_messages(fields, request, parsed.ignored);
  if (endpoint != Endpoint::chat) parse_prompt(fields, request);
  const bool chat = !request.messages.empty();
  const bool text = request.prompt.has_value() || !request.prompt_ids.empty();
  if (chat && text) {
    fields.fail("prompt", "invalid_value", "Send 'messages' or 'prompt', not both.");
  } else if (!chat && !text) {
    const std::string name = endpoint == Endpoint::completion ? "prompt" : "messages";
    fields.fail(name, "missing_required_parameter",
                fmt::format("Missing required parameter: '{}'.", name));
  }
}

}  // namespace

std::variant<ParsedRequest, ApiError> parse_request(const json& body, Endpoint endpoint,
                                                    const RequestHints& hints) {
  if (!body.is_object()) {
    return ApiError{400, "invalid_type",
                    fmt::format("The body must be an object, but it is {}.", kind_of(body)), "", 0};
  }
  ParsedRequest parsed;
  std::optional<ApiError> error;
  Fields fields(body, "", error);
  fields.text("model", parsed.generate.model, most_model_bytes);
  parse_question(fields, endpoint, parsed);
  parse_sampling(fields, parsed.generate);
  parse_stop(fields, parsed.generate);
  parse_length(fields, parsed.generate);
  parse_stream(fields, parsed);
  parse_tier(fields, hints, parsed.generate);
  parse_aorta(fields, parsed.generate, parsed.ignored);
  parse_key(fields, endpoint, hints, body, parsed.generate);
  refuse_unsupported(fields);
  // Who asks, and hints of OpenAI's that need no answer.
  fields.skip({"user", "metadata", "store", "safety_identifier", "prompt_cache_key",
               "prompt_cache_retention"});
  if (endpoint == Endpoint::generate) fields.skip({"id", "acks"});
  if (error) return *std::move(error);
  for (std::string& name : fields.unknown()) parsed.ignored.push_back(std::move(name));
  return parsed;
}

}  // namespace aorta::fronts
