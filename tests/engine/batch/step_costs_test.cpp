#include "engine/batch/step_costs.hpp"

#include <gtest/gtest.h>

namespace aorta::engine {
namespace {

TEST(StepCosts, GuessesUntilItIsTold) {
  const StepCosts costs(256);
  EXPECT_FALSE(costs.known());
  EXPECT_LT(costs.of({32, 0}), 32 * costs.of({1, 0})) << "rows share the reading of the weights";
  for (std::uint32_t n = 1; n <= 256; ++n) EXPECT_GT(costs.of({n, 0}), costs.of({n - 1, 0}));
}

TEST(StepCosts, GoesStraightBetweenWhatWasMeasured) {
  StepCosts costs(256);
  costs.measured({1, 0}, 4000);
  costs.measured({101, 0}, 34000);
  EXPECT_TRUE(costs.known());
  EXPECT_NEAR(costs.of({1, 0}), 4000, 1);
  EXPECT_NEAR(costs.of({51, 0}), 19000, 1);
  EXPECT_NEAR(costs.of({101, 0}), 34000, 1);
  EXPECT_GT(costs.of({256, 0}), 70000);
  EXPECT_NEAR(costs.of_one_more(20), 300, 1);
}

TEST(StepCosts, FollowsTheMachineButNotAHiccup) {
  StepCosts costs(64);
  for (int i = 0; i < 20; ++i) costs.measured({4, 0}, 1000);
  costs.measured({4, 0}, 1000000);
  EXPECT_LT(costs.of({4, 0}), 1500);
  for (int i = 0; i < 40; ++i) costs.measured({4, 0}, 2000);
  EXPECT_NEAR(costs.of({4, 0}), 2000, 50);
}

TEST(StepCosts, NeverFalls) {
  StepCosts costs(64);
  costs.measured({2, 0}, 5000);
  costs.measured({8, 0}, 1000);
  for (std::uint32_t n = 1; n <= 64; ++n) EXPECT_GE(costs.of({n, 0}), costs.of({n - 1, 0}));
}

TEST(StepCosts, BeyondWhatWasMeasuredItGuessesOrPromisesNothing) {
  StepCosts guesses(256), promises(256, StepCosts::Beyond::in_proportion);
  for (StepCosts* costs : {&guesses, &promises}) costs->measured({8, 0}, 6000);
  EXPECT_NEAR(promises.of({16, 0}), 12000, 1);
  EXPECT_LT(guesses.of({16, 0}), 9000);
}

// A chunk of a long prompt: what it costs grows with its place, and its size shrinks meanwhile.
TEST(StepCosts, LearnsWhatAttentionCostsBesideWhatPositionsCost) {
  StepCosts costs(256);
  const auto machine = [](const StepWork& work) {
    return 4000 + 400.0 * work.positions + 0.4 * work.attention;
  };
  std::uint32_t context = 0;
  for (std::uint32_t take : {24, 20, 16, 12, 8}) {
    for (int step = 0; step < 20; ++step, context += take) {
      StepWork work;
      work.add(context, take);
      costs.measured(work, machine(work));
    }
  }
  EXPECT_NEAR(costs.of_attention(), 0.4, 0.05);
  for (const std::uint32_t take : {8u, 12u, 24u}) {  // the larger were measured nearer the start
    StepWork work;
    work.add(context, take);
    EXPECT_NEAR(costs.of(work), machine(work), 0.08 * machine(work)) << take;
  }
}

TEST(StepCosts, NoiseIsNotTakenForAttention) {
  StepCosts costs(64);
  StepWork work;
  for (int i = 0; i < 5000; ++i) {
    work = {};
    for (int row = 0; row < 8; ++row) work.add(100 + i % 50 + 3 * row, 1);
    costs.measured(work, 4000 + 0.4 * work.attention + (i * 7919 % 13 - 6) * 50);
  }
  EXPECT_NEAR(costs.of_attention(), 0.4, 0.3);
  EXPECT_NEAR(costs.of(work), 4000 + 0.4 * work.attention, 300);
}

TEST(StepCosts, TakesNothingForAnAnswer) {
  StepCosts costs(8);
  costs.measured({0, 0}, 100);
  costs.measured({3, 0}, 0);
  EXPECT_FALSE(costs.known());
}

}  // namespace
}  // namespace aorta::engine
