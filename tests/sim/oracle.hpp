#pragma once
// What an answer must be: the undisturbed run of the same request, made by one engine alone, with
// no mesh. Every delivered stream is compared with it.
#include <memory>
#include <string>
#include <vector>

#include "actors/admission/client.hpp"

namespace aorta::sim {

struct Expected {
  std::vector<TokenId> ids;
  std::vector<engine::TokenLogprobs> logprobs;  // one for each id, or none where not asked for
  std::string reasoning, text;
  std::uint32_t prompt_tokens = 0, reasoning_tokens = 0;
  std::string finish_reason;
};

class Oracle {
 public:
  Oracle(engine::FakeOptions options, std::shared_ptr<const engine::TextModel> model);
  Expected answer(const admission::GenerateRequest& request, std::uint32_t choice) const;
  const std::shared_ptr<const engine::TextModel>& model() const { return model_; }

 private:
  engine::FakeOptions options_;
  std::shared_ptr<const engine::TextModel> model_;
};

}  // namespace aorta::sim
