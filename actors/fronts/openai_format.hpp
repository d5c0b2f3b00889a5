#pragma once
// What OpenAI's clients read: answers whole and in chunks, models, errors. Text only; the bytes
// around it (HTTP, SSE) are http_exchange's.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actors/admission/client.hpp"
#include "actors/fronts/api_error.hpp"

namespace aorta::fronts {

enum class Shape { chat, text };  // chat.completion or text_completion

std::string error_json(const ApiError& error);
std::string models_json(const std::vector<std::string>& models, std::int64_t created);
std::string model_json(const std::string& model, std::int64_t created);
std::string readiness_json(const admission::Readiness& readiness);

// "chatcmpl-<32 hex digits>", or "cmpl-…"; the digits are the request's own id.
std::string answer_id(Shape shape, RequestId request);
// Any of the forms of an id: with its prefix or without.
std::optional<RequestId> parse_answer_id(std::string_view text);

// One answer's texts, whole or as the chunks of a stream.
class AnswerFormat {
 public:
  struct About {
    Shape shape = Shape::chat;
    RequestId request;
    std::string model;
    std::int64_t created = 0;  // seconds since 1970
    std::uint64_t seed = 0;
    bool include_usage = false;  // a stream's: every chunk then has a usage, null but in the last
  };
  explicit AnswerFormat(About about);

  std::string first_chunk() const;  // the role; empty for Shape::text, which has none
  std::string text_chunk(std::string_view text) const;
  std::string last_chunk(const admission::Done& done) const;
  std::string usage_chunk(const admission::Usage& usage) const;
  std::string whole(std::string_view text, const admission::Done& done) const;
  const About& about() const { return about_; }

 private:
  std::string chunk(const std::string& delta, std::string_view finish_reason,
                    const std::string& more) const;
  About about_;
  std::string head_;  // what every chunk of this answer begins with
};

}  // namespace aorta::fronts
