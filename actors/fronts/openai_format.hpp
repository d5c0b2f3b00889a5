#pragma once
// What OpenAI's clients read: answers whole and in chunks, models, errors. Text only; the bytes
// around it (HTTP, SSE) are http_exchange's.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/admission/client.hpp"
#include "actors/fronts/api_error.hpp"

namespace aorta::fronts {

enum class Shape {
  chat,      // chat.completion
  text,      // text_completion
  inference  // one text and little else; never streamed
};

std::string error_json(const ApiError& error);
std::string readiness_json(const admission::Readiness& readiness);

struct ServedModel {
  std::string id;
  std::uint32_t context_tokens = 0;
  std::int64_t created = 0;  // seconds since 1970
};
std::string model_json(const ServedModel& model);
std::string models_json(const std::vector<ServedModel>& models);

// "chatcmpl-<32 hex digits>", "cmpl-…" or the bare digits, which are the request's own id.
std::string answer_id(Shape shape, RequestId request);
// Any of the forms of an id: with its prefix or without.
std::optional<RequestId> parse_answer_id(std::string_view text);

// What one choice says, in all or since its last chunk.
struct Said {
  std::string_view text, reasoning;
  std::string logprobs = "null";  // JSON in the form of the answer's shape
};

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

  // `usage`: what it has come to so far, where each chunk is to say so.
  using RunningUsage = std::optional<admission::Usage>;
  // The role; empty for Shape::text, which has none.
  std::string first_chunk(std::uint32_t choice, const RunningUsage& usage) const;
  std::string chunk_of(std::uint32_t choice, const Said& said, const RunningUsage& usage) const;
  std::string last_chunk(const admission::Done& done, const RunningUsage& usage) const;
  std::string usage_chunk(const admission::Usage& usage) const;

  struct Choice {
    Said said;
    admission::Done done;
  };
  std::string whole(std::span<const Choice> choices) const;
  const About& about() const { return about_; }

 private:
  struct Parts;
  static std::string choice_text(const Parts& parts);
  std::string head(std::string_view object) const;
  std::string chunk(const Parts& parts, const RunningUsage& usage,
                    const std::string& aorta = "") const;
  About about_;
  std::string head_;  // what every chunk of this answer begins with
};

// Of all choices together: their prompt is one and the same, and counts once.
admission::Usage total_usage(std::span<const AnswerFormat::Choice> choices);

}  // namespace aorta::fronts
