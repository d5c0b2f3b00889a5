#include "engine/batch/draft.hpp"

#include <gtest/gtest.h>

#include "tests/engine/batch/batch_helpers.hpp"
#include "tests/engine/batch/checked_runner.hpp"

namespace aorta::engine {
namespace {

std::vector<TokenId> guesses(std::vector<TokenId> ids, std::uint32_t most) {
  const std::size_t known = ids.size();
  ids.reserve(known + most);
  const std::uint32_t guessed = guess_next(ids, most);
  EXPECT_EQ(guessed, ids.size() - known);
  return {ids.begin() + static_cast<std::ptrdiff_t>(known), ids.end()};
}

using Ids = std::vector<TokenId>;

TEST(Draft, GuessesWhatFollowedTheLastIdsBefore) {
  EXPECT_EQ(guesses({1, 2, 3, 4, 5, 6, 1, 2, 3}, 3), (Ids{4, 5, 6}));
  EXPECT_EQ(guesses({1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3}, 1), (Ids{5})) << "the latest place";
  EXPECT_EQ(guesses({1, 2, 3, 4, 9, 2, 3, 5, 1, 2, 3}, 1), (Ids{4})) << "three before two";
  EXPECT_EQ(guesses({9, 2, 3, 5, 1, 2, 3}, 1), (Ids{5})) << "two, if there are no three";
}

TEST(Draft, GuessesNothingFromNothing) {
  EXPECT_TRUE(guesses({}, 4).empty());
  EXPECT_TRUE(guesses({1, 1}, 4).empty());
  EXPECT_TRUE(guesses({1, 2, 3, 4, 5, 6}, 4).empty());
  EXPECT_TRUE(guesses({1, 2, 3, 1, 2, 3}, 0).empty());
}

TEST(Draft, ACircleGoesOn) {
  EXPECT_EQ(guesses({7, 7, 7, 7}, 4), (Ids{7, 7, 7, 7}));
  EXPECT_EQ(guesses({1, 2, 1, 2, 1, 2}, 5), (Ids{1, 2, 1, 2, 1}));
}

TEST(DraftBudget, ManyGuessesAloneFewInACrowdNoneWhenTheyNeverHold) {
  const StepCosts costs(256);
  EXPECT_EQ(DraftBudget(costs, {1, 0}, 1, 256).take(0.9, 4, 0), 4u);
  EXPECT_EQ(DraftBudget(costs, {1, 0}, 1, 3).take(0.9, 4, 0), 2u) << "the step's budget";
  EXPECT_EQ(DraftBudget(costs, {1, 0}, 1, 256).take(0.01, 4, 0), 0u);
  EXPECT_EQ(DraftBudget(costs, {64, 0}, 64, 256).take(0.6, 4, 0), 0u);
}

TEST(DraftBudget, GoesByWhatWasMeasured) {
  StepCosts costs(256);
  for (const std::uint32_t n : {1u, 2u, 4u, 8u, 64u}) costs.measured({n, 0}, 1000.0 * n);
  EXPECT_EQ(DraftBudget(costs, {1, 0}, 1, 256).take(0.95, 4, 0), 0u)
      << "nothing comes for free here";
}

TEST(DraftBudget, AGuessBehindALongContextCostsItsAttention) {
  const StepCosts costs(256);
  const auto taken = [&](std::uint32_t context) {
    return DraftBudget(costs, {1, 2.0 * context}, 1, 256).take(0.6, 1, context);
  };
  EXPECT_EQ(taken(100), 1u);
  EXPECT_EQ(DraftBudget(costs, {8, 1600}, 8, 256).take(0.6, 1, 100), 1u);
  EXPECT_EQ(DraftBudget(costs, {8, 1600}, 8, 256).take(0.6, 1, 8000), 0u);
}

TEST(DraftRecord, LearnsAndForgets) {
  DraftRecord record;
  const double fresh = record.rate();
  for (int i = 0; i < 30; ++i) record.add(1, 0);
  EXPECT_LT(record.rate(), 0.1);
  for (int i = 0; i < 300; ++i) record.add(0, 0);
  EXPECT_NEAR(record.rate(), fresh, 0.05);
  for (int i = 0; i < 30; ++i) record.add(4, 4);
  EXPECT_GT(record.rate(), 0.9);
}

// An answer that says one id nine times of ten.
Sequence monotonous(std::uint64_t number, std::uint32_t tokens) {
  Sequence s = make_sequence(number, 20, tokens);
  s.sampling.logit_bias = {{65, 90.0f}};
  return s;
}

struct Outcome {
  Answers answers;
  std::uint32_t steps = 0, drafted = 0, kept = 0, decoded = 0;
};

Outcome run_all(const FakeOptions& options, const BatchLimits& limits,
                const std::vector<Sequence>& all) {
  const auto engine = make_stepper(std::make_unique<CheckedRunner>(options, limits), limits);
  for (const Sequence& s : all) EXPECT_TRUE(engine->start(s));
  Outcome run;
  for (; !engine->idle(); ++run.steps) {
    const StepReport report = engine->step();
    EXPECT_TRUE(collect(report, run.answers));
    run.drafted += report.drafted;
    run.kept += report.drafts_kept;
    run.decoded += report.decode_tokens;
  }
  EXPECT_EQ(engine->load().blocks_used, 0u);
  for (const Sequence& s : all) EXPECT_EQ(run.answers[s.key], undisturbed(options, s));
  return run;
}

TEST(Speculation, TheSameAnswerInFewerSteps) {
  const Outcome without = run_all({}, {.draft_tokens = 0}, {monotonous(2, 200)});
  EXPECT_EQ(without.drafted, 0u);
  const Outcome with = run_all({}, {.draft_tokens = 4}, {monotonous(2, 200)});
  EXPECT_LT(with.steps, without.steps / 2);
  EXPECT_EQ(with.decoded + with.kept, 199u) << "every token but the first is one or the other";
  EXPECT_LE(with.kept, with.drafted);
  EXPECT_GT(with.kept, 100u);
}

TEST(Speculation, StopsWhereTheAnswerStops) {
  FakeOptions options;
  options.stop_one_in = 30;
  options.context_tokens = 96;
  for (std::uint64_t n = 1; n <= 60; ++n) {
    Sequence s = monotonous(n, static_cast<std::uint32_t>(1 + n));
    s.min_tokens = static_cast<std::uint32_t>(n % 9);
    if (n % 3 == 0) s.stop_ids.push_back(65);
    if (n % 7 == 0) s.max_tokens = 500;
    run_all(options, {.draft_tokens = static_cast<std::uint32_t>(1 + n % 8)}, {s});
    ASSERT_FALSE(HasFailure()) << n;
  }
}

TEST(Speculation, KeepsToTheStepAndThePool) {
  std::vector<Sequence> all;
  for (std::uint64_t n = 1; n <= 6; ++n) all.push_back(monotonous(n, 100));
  const BatchLimits limits{.slots = 6, .step_tokens = 9, .blocks = 16, .draft_tokens = 4};
  FakeOptions options;
  options.context_tokens = 256;
  EXPECT_GT(run_all(options, limits, all).kept, 0u);
}

// Fifteen rows are too many to guess blindly, but not once it is known how well it goes.
TEST(Speculation, LearnsInACrowdWithoutComputing) {
  std::vector<Sequence> all;
  for (std::uint64_t n = 1; n <= 16; ++n) all.push_back(monotonous(n, 100));
  const Outcome outcome = run_all({}, {.slots = 16}, all);
  EXPECT_GT(outcome.kept, 300u);
}

TEST(Speculation, RandomAnswersAreNotGuessedAtForLong) {
  const Outcome random = run_all({}, {}, {make_sequence(2, 500, 400)});
  EXPECT_LT(random.drafted, 40u);
}

}  // namespace
}  // namespace aorta::engine
