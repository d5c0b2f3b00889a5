#include "tests/sim/oracle.hpp"

#include "base/result.hpp"

namespace aorta::sim {

Oracle::Oracle(engine::FakeOptions options, std::shared_ptr<const engine::TextModel> model)
    : options_(options), model_(std::move(model)) {}

Expected Oracle::answer(const admission::GenerateRequest& request, std::uint32_t choice) const {
  auto stepper = engine::make_stepper(engine::make_fake_runner(options_),
                                      {.prefix_cache = false, .draft_tokens = 0});
  engine::Sequence sequence;
  sequence.key = {request.id, Epoch{1}};
  sequence.ids = request.prompt_ids;
  auto reasoning = engine::Reasoning::never;
  if (!request.messages.empty()) {
    const std::string prompt = *model_->render(request.messages, true);
    sequence.ids = model_->encode(prompt, true, false);
    reasoning = engine::reasoning_after(prompt);
  }
  const auto prompt_tokens = static_cast<std::uint32_t>(sequence.ids.size());
  sequence.prompt_tokens = prompt_tokens;
  sequence.max_tokens = *request.max_tokens;
  sequence.min_tokens = request.min_tokens;
  sequence.stop_ids = request.stop_ids;
  if (!request.ignore_eos) {
    const auto& ends = model_->stop_ids();
    sequence.stop_ids.insert(sequence.stop_ids.end(), ends.begin(), ends.end());
  }
  sequence.sampling = request.sampling;
  sequence.sampling.choice = choice;
  sequence.top_logprobs = request.top_logprobs;
  AORTA_CHECK(stepper->start(std::move(sequence)).ok(), "a simulated request must be startable");

  Expected expected;
  expected.prompt_tokens = prompt_tokens;
  engine::TextStream text(model_, request.stop, reasoning);
  while (expected.finish_reason.empty()) {
    for (const engine::Generated& token : stepper->step().tokens) {
      expected.ids.push_back(token.id);
      if (token.logprobs) expected.logprobs.push_back(*token.logprobs);
      if (token.finish == engine::Finish::stop) {
        expected.finish_reason = "stop";
      } else if (text.append(token.id)) {
        expected.finish_reason = "stop";
      } else if (token.finish == engine::Finish::length) {
        expected.finish_reason = "length";
      }
      if (!expected.finish_reason.empty()) break;
    }
  }
  text.finish();
  expected.text = text.text();
  expected.reasoning = text.reasoning();
  expected.reasoning_tokens = text.reasoning_tokens();
  return expected;
}

}  // namespace aorta::sim
