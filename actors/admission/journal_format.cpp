#include "actors/admission/journal_format.hpp"

#include <nlohmann/json.hpp>

namespace aorta::admission {
namespace {

using nlohmann::json;

std::string to_bytes(const json& value) {
  const std::vector<std::uint8_t> bytes = json::to_cbor(value);
  return {bytes.begin(), bytes.end()};
}

json from_bytes(std::string_view bytes) {
  return json::from_cbor(bytes.begin(), bytes.end(), true, false);
}

void append(std::string& bytes, std::uint64_t value, int size) {
  for (int i = 0; i < size; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
}

std::uint64_t number_at(std::string_view bytes, std::size_t at, int size) {
  std::uint64_t value = 0;
  for (int i = 0; i < size; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  }
  return value;
}

json sampling_json(const mesh::SamplingFields& s) {
  return {{"temperature", s.temperature},
          {"top_p", s.top_p},
          {"min_p", s.min_p},
          {"top_k", s.top_k},
          {"presence_penalty", s.presence_penalty},
          {"frequency_penalty", s.frequency_penalty},
          {"repetition_penalty", s.repetition_penalty},
          {"logit_bias", s.logit_bias},
          {"seed", s.seed}};
}

mesh::SamplingFields sampling_of(const json& from) {
  mesh::SamplingFields s;
  s.temperature = from.value("temperature", s.temperature);
  s.top_p = from.value("top_p", s.top_p);
  s.min_p = from.value("min_p", s.min_p);
  s.top_k = from.value("top_k", s.top_k);
  s.presence_penalty = from.value("presence_penalty", s.presence_penalty);
  s.frequency_penalty = from.value("frequency_penalty", s.frequency_penalty);
  s.repetition_penalty = from.value("repetition_penalty", s.repetition_penalty);
  s.logit_bias = from.value("logit_bias", s.logit_bias);
  s.seed = from.at("seed").get<std::uint64_t>();
  return s;
}

// A value of an enum with so many names, or none of them.
template <class Enum>
Enum choice_of(const json& from, const char* name, unsigned count) {
  const unsigned value = from.value(name, 0u);
  if (value >= count) throw json::other_error::create(501, name, &from);
  return static_cast<Enum>(value);
}

}  // namespace

std::string bytes_of(RequestId request) {
  std::string bytes;
  append(bytes, request.high, 8);
  append(bytes, request.low, 8);
  return bytes;
}

std::optional<RequestId> request_of_bytes(std::string_view bytes) {
  if (bytes.size() != 16) return std::nullopt;
  return RequestId{number_at(bytes, 0, 8), number_at(bytes, 8, 8)};
}

std::string bytes_of(std::span<const TokenId> ids) {
  std::string bytes;
  bytes.reserve(ids.size() * 4);
  for (const TokenId id : ids) append(bytes, static_cast<std::uint32_t>(id), 4);
  return bytes;
}

std::optional<std::vector<TokenId>> ids_of_bytes(std::string_view bytes) {
  if (bytes.size() % 4 != 0) return std::nullopt;
  std::vector<TokenId> ids(bytes.size() / 4);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<TokenId>(static_cast<std::uint32_t>(number_at(bytes, 4 * i, 4)));
  }
  return ids;
}

std::string parameters_of(const JournalRecord& record) {
  json parameters{{"chat", record.chat},
                  {"idempotency_key", record.idempotency_key},
                  {"body_digest", record.body_digest},
                  {"tier", static_cast<unsigned>(record.tier)},
                  {"determinism", static_cast<unsigned>(record.determinism)},
                  {"on_disconnect", static_cast<unsigned>(record.on_disconnect)},
                  {"reasoning", static_cast<unsigned>(record.reasoning)},
                  {"sampling", sampling_json(record.sampling)},
                  {"min_tokens", record.min_tokens},
                  {"max_tokens", record.max_tokens},
                  {"stop_ids", record.stop_ids},
                  {"stop_strings", record.stop_strings}};
  if (record.top_logprobs) parameters["top_logprobs"] = *record.top_logprobs;
  return to_bytes(parameters);
}

bool read_parameters(std::string_view bytes, JournalRecord& record) try {
  const json from = from_bytes(bytes);
  record.chat = from.at("chat").get<bool>();
  record.idempotency_key = from.value("idempotency_key", "");
  record.body_digest = from.value("body_digest", "");
  record.tier = choice_of<mesh::Tier>(from, "tier", mesh::tier_count);
  record.determinism = choice_of<mesh::Determinism>(from, "determinism", 2);
  record.on_disconnect = choice_of<OnDisconnect>(from, "on_disconnect", 3);
  record.reasoning = choice_of<engine::Reasoning>(from, "reasoning", 3);
  record.sampling = sampling_of(from.at("sampling"));
  record.min_tokens = from.value("min_tokens", 0u);
  record.max_tokens = from.at("max_tokens").get<std::uint32_t>();
  record.stop_ids = from.value("stop_ids", record.stop_ids);
  record.stop_strings = from.value("stop_strings", record.stop_strings);
  if (from.contains("top_logprobs")) {
    record.top_logprobs = from.at("top_logprobs").get<std::uint32_t>();
  }
  return true;
} catch (const json::exception&) {
  return false;
}

std::string bytes_of(const Outcome& outcome) {
  return to_bytes({{"finish_reason", outcome.finish_reason},
                   {"status", outcome.status},
                   {"code", outcome.code},
                   {"message", outcome.message}});
}

std::optional<Outcome> outcome_of_bytes(std::string_view bytes) try {
  const json from = from_bytes(bytes);
  return Outcome{from.at("finish_reason").get<std::string>(), from.value("status", 0),
                 from.value("code", ""), from.value("message", "")};
} catch (const json::exception&) {
  return std::nullopt;
}

}  // namespace aorta::admission
