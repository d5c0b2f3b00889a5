#include "actors/admission/intake.hpp"

#include <gtest/gtest.h>

#include "engine/fake/fake_text_model.hpp"

namespace aorta::admission {
namespace {

engine::FakeOptions small_context() {
  engine::FakeOptions options;
  options.context_tokens = 100;
  return options;
}

std::variant<Intake, Rejected> take(const GenerateRequest& ask) {
  return take_in(ask, *engine::make_fake_text_model(small_context()), {});
}
Rejected refusal(const GenerateRequest& ask) {
  auto taken = take(ask);
  auto* refused = std::get_if<Rejected>(&taken);
  EXPECT_NE(refused, nullptr);
  return refused ? *refused : Rejected{};
}
GenerateRequest prompt(std::string text) {
  GenerateRequest ask;
  ask.prompt = std::move(text);
  return ask;
}

TEST(Intake, RendersAConversation) {
  GenerateRequest ask;
  ask.messages = {{"user", "hi"}};
  const auto taken = take(ask);
  EXPECT_EQ(std::get<Intake>(taken).prompt.size(), std::string("user: hi\nassistant: ").size());
}

TEST(Intake, AnswersMayFillTheContextAndNoMore) {
  EXPECT_EQ(std::get<Intake>(take(prompt(std::string(10, 'x')))).max_tokens, 90u);
  auto ask = prompt(std::string(10, 'x'));
  ask.max_tokens = 90;
  EXPECT_EQ(std::get<Intake>(take(ask)).max_tokens, 90u);
  ask.max_tokens = 91;
  const auto refused = refusal(ask);
  EXPECT_EQ(refused.code, "context_length_exceeded");
  EXPECT_EQ(refused.param, "max_tokens");
  EXPECT_NE(refused.message.find("at most 90"), std::string::npos) << refused.message;
}

TEST(Intake, StopIdsMustBeTheModels) {
  auto ask = prompt("abc");
  ask.stop_ids = {255};
  EXPECT_TRUE(std::holds_alternative<Intake>(take(ask)));
  ask.stop_ids = {7, 256};
  EXPECT_EQ(refusal(ask).param, "stop_token_ids");
}

TEST(Intake, DefaultsToTheConfiguredMaximum) {
  AdmissionOptions options;
  options.default_max_tokens = 5;
  const auto taken =
      take_in(prompt("abc"), *engine::make_fake_text_model(small_context()), options);
  EXPECT_EQ(std::get<Intake>(taken).max_tokens, 5u);
}

TEST(Intake, RefusesAPromptBeyondTheContextWithFigures) {
  EXPECT_TRUE(std::holds_alternative<Intake>(take(prompt(std::string(99, 'x')))));
  const auto refused = refusal(prompt(std::string(100, 'x')));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.code, "context_length_exceeded");
  EXPECT_NE(refused.message.find("100 tokens"), std::string::npos) << refused.message;
  // Bytes alone say that this one cannot fit.
  EXPECT_NE(refusal(prompt(std::string(101, 'x'))).message.find("101 bytes"), std::string::npos);
}

TEST(Intake, RefusesIdsOutsideTheVocabulary) {
  GenerateRequest ask;
  ask.prompt_ids = {1, 256};
  EXPECT_EQ(refusal(ask).param, "prompt_ids");
  ask.prompt_ids = {1, -1};
  EXPECT_EQ(refusal(ask).param, "prompt_ids");
  ask.prompt_ids = {1, 255};
  EXPECT_EQ(std::get<Intake>(take(ask)).prompt, ask.prompt_ids);
  ask.sampling.logit_bias = {{999, 1.0f}};
  EXPECT_EQ(refusal(ask).param, "logit_bias");
}

TEST(Intake, RefusesWhatIsEmpty) {
  EXPECT_EQ(refusal(GenerateRequest{}).code, "empty_prompt");
  EXPECT_EQ(refusal(prompt("")).code, "empty_prompt");
  auto ask = prompt("abc");
  ask.max_tokens = 0;
  EXPECT_EQ(refusal(ask).param, "max_tokens");
}

}  // namespace
}  // namespace aorta::admission
