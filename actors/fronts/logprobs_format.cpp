#include "actors/fronts/logprobs_format.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "mesh/client_codec.hpp"

namespace aorta::fronts {
namespace {

using admission::TokenLogprob;
using nlohmann::json;

// JSON knows no infinity; what OpenAI writes instead.
constexpr float least_logprob = -9999.0f;

float finite(float logprob) { return std::max(logprob, least_logprob); }

std::string legacy_text(std::string_view bytes) {
  return (mesh::is_utf8(bytes) ? "" : "bytes:") + token_text(bytes);
}

json entry(const TokenLogprob& token) {
  json bytes = json::array();
  for (const char c : token.bytes) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", token_text(token.bytes)},
          {"logprob", finite(token.logprob)},
          {"bytes", std::move(bytes)}};
}

// Characters that begin in these bytes, so that the parts of one character count once.
std::size_t characters(std::string_view bytes) {
  return static_cast<std::size_t>(std::count_if(
      bytes.begin(), bytes.end(), [](unsigned char byte) { return (byte & 0xC0) != 0x80; }));
}

}  // namespace

std::string token_text(std::string_view bytes) {
  if (mesh::is_utf8(bytes)) return std::string(bytes);
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += fmt::format("\\x{:02x}", byte);
    }
  }
  return text;
}

json logprobs_content(std::span<const TokenLogprobs> tokens) {
  json content = json::array();
  for (const TokenLogprobs& token : tokens) {
    json one = entry(token.chosen);
    json& top = one["top_logprobs"] = json::array();
    for (const TokenLogprob& other : token.top) top.push_back(entry(other));
    content.push_back(std::move(one));
  }
  return content;
}

json legacy_logprobs(std::span<const TokenLogprobs> tokens, std::size_t& offset) {
  json lists = {{"tokens", json::array()},
                {"token_logprobs", json::array()},
                {"top_logprobs", json::array()},
                {"text_offset", json::array()}};
  for (const TokenLogprobs& token : tokens) {
    json top = json::object();
    for (const TokenLogprob& other : token.top) {
      top.emplace(legacy_text(other.bytes), finite(other.logprob));
    }
    const std::string text = legacy_text(token.chosen.bytes);
    const float logprob = finite(token.chosen.logprob);
    top.emplace(text, logprob);
    lists["tokens"].push_back(text);
    lists["token_logprobs"].push_back(logprob);
    lists["top_logprobs"].push_back(std::move(top));
    lists["text_offset"].push_back(offset);
    offset += characters(token.chosen.bytes);
  }
  return lists;
}

}  // namespace aorta::fronts
