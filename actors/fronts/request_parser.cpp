#include "actors/fronts/request_parser.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "actors/fronts/conversation_parser.hpp"
#include "actors/fronts/fields.hpp"
#include "actors/fronts/json_text.hpp"
#include "actors/fronts/known_fields.hpp"
#include "actors/fronts/sampling_parser.hpp"

namespace aorta::fronts {
namespace {

using admission::GenerateRequest;
using admission::OnDisconnect;
using mesh::Tier;
using nlohmann::json;

constexpr std::size_t most_model_bytes = 256;
constexpr std::size_t most_key_bytes = 255;
constexpr std::size_t most_class_bytes = 64;
constexpr std::int64_t day_ms = 24 * 3600 * 1000;

const std::initializer_list<std::pair<std::string_view, Tier>> tiers = {
    {"urgent", Tier::urgent}, {"high", Tier::high}, {"normal", Tier::normal}};

// From the least to the most specific: OpenAI's service_tier, a header (which a proxy may set), the
// body's own word.
void parse_tier(Fields& fields, const RequestHints& hints, GenerateRequest& request) {
  fields.choice("service_tier", request.tier,
                {{"priority", Tier::urgent},
                 {"flex", Tier::normal},
                 {"auto", request.tier},
                 {"default", request.tier},
                 {"scale", request.tier}});
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
  for (const char* transport : {"stream", "stream_options", "id", "acks", "idempotency_key", "api_key"}) {
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
  inner.boolean("continuous_usage_stats", parsed.continuous_usage);
  parsed.continuous_usage &= parsed.include_usage;
  inner.skip({"include_obfuscation"});
  for (std::string& name : inner.unknown()) parsed.ignored.push_back(std::move(name));
}

void parse_question(Fields& fields, Endpoint endpoint, ParsedRequest& parsed) {
  GenerateRequest& request = parsed.generate;
  const bool takes_both = endpoint == Endpoint::generate;
  if (takes_both || endpoint == Endpoint::chat) parse_messages(fields, request, parsed.ignored);
  if (takes_both || endpoint == Endpoint::completion) parse_prompt(fields, "prompt", request);
  if (endpoint == Endpoint::inference) parse_prompt(fields, "text", request);
  const bool chat = !request.messages.empty();
  const bool text = request.prompt.has_value() || !request.prompt_ids.empty();
  if (chat && text) {
    fields.fail("prompt", "invalid_value", "Send 'messages' or 'prompt', not both.");
  } else if (!chat && !text) {
    const std::string name = endpoint == Endpoint::completion  ? "prompt"
                             : endpoint == Endpoint::inference ? "text"
                                                               : "messages";
    fields.fail(name, "missing_required_parameter",
                fmt::format("Missing required parameter: '{}'.", name));
  }
}

// POST /v1/inference answers with one text and nothing else.
void keep_it_simple(Fields& fields, const ParsedRequest& parsed) {
  const auto refuse = [&](const char* name) {
    fields.fail(name, "unsupported_parameter",
                fmt::format("Unsupported parameter: '{}' has no place in the answer of "
                            "/v1/inference; ask /v1/completions.",
                            name));
  };
  if (parsed.stream) refuse("stream");
  if (parsed.generate.choices > 1) refuse("n");
  if (parsed.generate.top_logprobs) refuse("logprobs");
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
  parse_choices(fields, parsed.generate);
  const Where kind = parsed.generate.messages.empty() ? Where::completion : Where::chat;
  parse_logprobs(fields, endpoint == Endpoint::generate ? Where::both : kind, parsed.generate);
  parse_stream(fields, parsed);
  if (endpoint == Endpoint::inference) keep_it_simple(fields, parsed);
  parse_tier(fields, hints, parsed.generate);
  parse_aorta(fields, parsed.generate, parsed.ignored);
  parse_key(fields, endpoint, hints, body, parsed.generate);
  settle_known_fields(fields, kind);
  if (endpoint == Endpoint::generate) fields.skip({"id", "acks", "api_key"});
  if (error) return *std::move(error);
  for (std::string& name : fields.unknown()) parsed.ignored.push_back(std::move(name));
  return parsed;
}

}  // namespace aorta::fronts
