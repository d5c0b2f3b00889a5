#include <gtest/gtest.h>

#include <set>

#include "engine/fake/fake_text_model.hpp"
#include "tests/engine/batch/batch_helpers.hpp"

namespace aorta::engine {
namespace {

TEST(FakeRunner, TokensDependOnSeedChoiceAndEveryId) {
  const FakeOptions options;
  const Sequence s = make_sequence(5, 30, 40);
  const Answer answer = undisturbed(options, s);
  EXPECT_EQ(undisturbed(options, s), answer);
  Sequence other = s;
  other.sampling.seed ^= 1;
  EXPECT_NE(undisturbed(options, other), answer);
  other = s;
  other.sampling.choice = 1;
  EXPECT_NE(undisturbed(options, other), answer);
  other = s;
  other.ids[0] ^= 1;
  EXPECT_NE(undisturbed(options, other), answer);
}

TEST(FakeRunner, MakesUpTheLogprobsThatAreAskedFor) {
  Sequence s = make_sequence(2, 30, 40);
  const Answer without = undisturbed({}, s);
  s.top_logprobs = 3;
  const Answer with = undisturbed({}, s);
  EXPECT_EQ(with.ids, without.ids);
  std::set<float> likelihoods;
  for (std::size_t i = 0; i < with.ids.size(); ++i) {
    EXPECT_FALSE(without.logprobs[i]);
    const TokenLogprobs& logprobs = *with.logprobs[i];
    ASSERT_EQ(logprobs.top.size(), 3u);
    EXPECT_EQ(logprobs.top[0], std::pair(with.ids[i], logprobs.chosen));
    EXPECT_GT(logprobs.top[1].second, logprobs.top[2].second);
    EXPECT_LE(logprobs.chosen, 0.0f);
    likelihoods.insert(logprobs.chosen);
  }
  EXPECT_GT(likelihoods.size(), 30u) << "they depend on what the token depends on";
}

TEST(FakeRunner, StopsAboutAsOftenAsTold) {
  FakeOptions options;
  options.stop_one_in = 20;
  std::size_t tokens = 0;
  for (std::uint64_t n = 0; n < 200; ++n) {
    const Answer answer = undisturbed(options, make_sequence(n, 3, 1000));
    EXPECT_EQ(answer.finish, Finish::stop);
    tokens += answer.ids.size();
  }
  EXPECT_NEAR(static_cast<double>(tokens) / 200, 20, 6);
  options.stop_one_in = 0;
  EXPECT_EQ(undisturbed(options, make_sequence(1, 3, 5000)).ids.size(), 5000u);
}

TEST(FakeRunner, ASmallVocabularyIsKeptTo) {
  FakeOptions options;
  options.vocabulary = 3;
  std::set<TokenId> seen;
  for (const TokenId id : undisturbed(options, make_sequence(1, 1, 300)).ids) seen.insert(id);
  EXPECT_EQ(seen, (std::set<TokenId>{1, 2}));
}

TEST(FakeRunner, NumericsIdsDifferWhereTokensMay) {
  FakeOptions options;
  const std::string id = make_fake_runner(options)->info().numerics_id;
  options.step_us = 1000;
  options.context_tokens = 99;
  EXPECT_EQ(make_fake_runner(options)->info().numerics_id, id);
  options.stop_one_in = 9;
  EXPECT_NE(make_fake_runner(options)->info().numerics_id, id);
  options.stop_one_in = 0;
  options.thinking_tokens = 9;
  EXPECT_NE(make_fake_runner(options)->info().numerics_id, id);
}

TEST(FakeRunnerDeathTest, PoisonInThePromptAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  FakeOptions options;
  options.poison = 250;
  Sequence s = make_sequence(1, 8, 2000);
  EXPECT_EQ(undisturbed(options, s).ids.size(), 2000u);  // said by the model itself it is harmless
  s.ids[5] = 250;
  EXPECT_DEATH(undisturbed(options, s), "poison id 250");
}

TEST(FakeRunner, AnIdWithABiasComesSoManyTimesInAHundred) {
  Sequence s = make_sequence(1, 8, 2000);
  s.sampling.logit_bias = {{200, 25.0f}, {201, -100.0f}};
  const auto ids = undisturbed({}, s).ids;
  const auto often = std::count(ids.begin(), ids.end(), 200);
  EXPECT_GT(often, 400);
  EXPECT_LT(often, 600);
}

TEST(FakeTextModel, IdsAreBytes) {
  FakeOptions options;
  options.context_tokens = 321;
  const auto model = make_fake_text_model(options);
  EXPECT_EQ(model->vocabulary(), 256u);
  EXPECT_EQ(model->context_tokens(), 321u);
  EXPECT_EQ(model->stop_ids(), std::vector<TokenId>{0});
  EXPECT_TRUE(model->is_control(0));
  EXPECT_FALSE(model->is_control('a'));
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  std::string back;
  for (const TokenId id : model->encode(all, true, true)) back += model->bytes(id);
  EXPECT_EQ(back, all);
  EXPECT_EQ(model->bytes(256), "");
  EXPECT_EQ(model->bytes(-1), "");
}

TEST(FakeModel, ThinksForAsLongAsItIsTold) {
  FakeOptions options;
  options.thinking_tokens = 12;
  const auto model = make_fake_text_model(options);
  EXPECT_TRUE(model->thinks());
  EXPECT_FALSE(make_fake_text_model({})->thinks());
  const std::string prompt = model->render({{"user", "Hi"}}, true).value();
  EXPECT_EQ(prompt, "user: Hi\nassistant: <think>\n");
  Sequence s = make_sequence(2, 9, 40);
  TextStream stream(model, {}, reasoning_after(prompt));
  for (const TokenId id : undisturbed(options, s).ids) stream.append(id);
  stream.finish();
  EXPECT_EQ(stream.reasoning_tokens(), 20u);
  EXPECT_FALSE(stream.reasoning().empty());
  EXPECT_FALSE(stream.text().empty());
  EXPECT_EQ(stream.text().find("think"), std::string::npos);
}

TEST(FakeTextModel, RendersLines) {
  const auto model = make_fake_text_model({});
  EXPECT_EQ(model->render({{"system", "Be kind."}, {"user", "Hi"}}, true).value(),
            "system: Be kind.\nuser: Hi\nassistant: ");
  EXPECT_EQ(model->render({{"user", "Hi"}}, false).value(), "user: Hi\n");
}

}  // namespace
}  // namespace aorta::engine
