// A request's body through every endpoint: an error that names what is wrong, or a request within
// the ranges that its fields promise; HTTP's JSON means the same as ZeroMQ's map; and what was
// tokenised comes back as the same text.
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "actors/fronts/request_parser.hpp"
#include "actors/fronts/text_api.hpp"
#include "engine/fake/fake_text_model.hpp"
#include "mesh/client_codec.hpp"
#include "tests/actors/fronts/scripted_port.hpp"
#include "tests/fuzz/property.hpp"

namespace aorta::fronts {
namespace {

using fuzz::require;
using nlohmann::json;
using Outcome = std::variant<ParsedRequest, ApiError>;

void check_sampling(const engine::Sampling& sampling) {
  require(sampling.temperature >= 0 && sampling.temperature <= 2, "temperature is in its range");
  require(sampling.top_p >= 0 && sampling.top_p <= 1, "top_p is in its range");
  require(sampling.min_p >= 0 && sampling.min_p <= 1, "min_p is in its range");
  require(sampling.repetition_penalty > 0, "repetition_penalty is positive");
  require(std::isfinite(sampling.presence_penalty) && std::isfinite(sampling.frequency_penalty),
          "penalties are finite");
  for (const auto& [id, bias] : sampling.logit_bias) {
    require(id >= 0 && std::abs(bias) <= 100, "a bias is in its range");
  }
}

void check_request(const admission::GenerateRequest& request) {
  check_sampling(request.sampling);
  require(request.max_tokens.value_or(1) > 0, "max_tokens is positive");
  require(request.min_tokens <= request.max_tokens.value_or(request.min_tokens),
          "min_tokens is no more than max_tokens");
  for (const std::string& stop : request.stop) require(!stop.empty(), "a stop string is not empty");
  for (const TokenId id : request.prompt_ids) require(id >= 0, "a prompt's id is not negative");
  const int questions =
      !request.messages.empty() + request.prompt.has_value() + !request.prompt_ids.empty();
  require(questions == 1, "one question is asked");
}

void check_error(const ApiError& error) {
  require(error.status >= 400 && error.status < 500, "what a client sent is the client's error");
  require(!error.code.empty() && !error.message.empty(), "an error says what is wrong");
  require(mesh::is_utf8(error.message) && mesh::is_utf8(error.param), "an error can be sent");
}

bool alike(const Outcome& a, const Outcome& b) {
  if (a.index() != b.index()) return false;
  if (const auto* error = std::get_if<ApiError>(&a)) {
    return error->message == std::get<ApiError>(b).message;
  }
  const auto& x = std::get<ParsedRequest>(a);
  const auto& y = std::get<ParsedRequest>(b);
  return x.generate.sampling == y.generate.sampling && x.ignored == y.ignored &&
         x.generate.body_digest == y.generate.body_digest;
}

const ScriptedPort& port() {
  static const ScriptedPort port = [] {
    ScriptedPort made;
    made.model = engine::make_fake_text_model({});  // an id is a byte
    return made;
  }();
  return port;
}

void check_tokenizing(const json& body) {
  for (const auto call : {tokenize, detokenize}) {
    const auto outcome = call(body, port());
    if (const auto* error = std::get_if<ApiError>(&outcome)) check_error(*error);
  }
  const auto outcome = tokenize(body, port());
  const auto* answer = std::get_if<TextAnswer>(&outcome);
  if (answer == nullptr || !body.contains("prompt") || !body["prompt"].is_string()) return;
  const auto back = detokenize({{"tokens", answer->body["tokens"]}}, port());
  require(std::holds_alternative<TextAnswer>(back), "ids of a prompt can be read back");
  require(std::get<TextAnswer>(back).body["prompt"] == body["prompt"],
          "what was tokenised is the same text again");
}

void check(std::string_view text) {
  const auto body = mesh::parse_client_json(text);
  if (!body) return;
  const auto map =
      body->is_object() ? mesh::decode_client(mesh::encode_client(*body)) : Result<json>(*body);
  require(map.ok(), "a JSON object can be sent as a map");
  check_tokenizing(*body);
  for (const Endpoint endpoint :
       {Endpoint::chat, Endpoint::completion, Endpoint::inference, Endpoint::generate}) {
    const RequestHints hints{.tier = "", .idempotency_key = "key"};
    const Outcome outcome = parse_request(*body, endpoint, hints);
    if (const auto* parsed = std::get_if<ParsedRequest>(&outcome)) check_request(parsed->generate);
    if (const auto* error = std::get_if<ApiError>(&outcome)) check_error(*error);
    require(alike(outcome, parse_request(*map, endpoint, hints)), "JSON and a map mean the same");
  }
}

}  // namespace
}  // namespace aorta::fronts

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  aorta::fronts::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
