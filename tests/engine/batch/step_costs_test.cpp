#include "engine/batch/step_costs.hpp"

#include <gtest/gtest.h>

namespace aorta::engine {
namespace {

TEST(StepCosts, GuessesUntilItIsTold) {
  const StepCosts costs(256);
  EXPECT_FALSE(costs.known());
  EXPECT_LT(costs.of(32), 32 * costs.of(1)) << "rows share the reading of the weights";
  for (std::uint32_t n = 1; n <= 256; ++n) EXPECT_GT(costs.of(n), costs.of(n - 1));
}

TEST(StepCosts, GoesStraightBetweenWhatWasMeasured) {
  StepCosts costs(256);
  costs.measured(1, 4000);
  costs.measured(101, 34000);
  EXPECT_TRUE(costs.known());
  EXPECT_NEAR(costs.of(1), 4000, 1);
  EXPECT_NEAR(costs.of(51), 19000, 1);
  EXPECT_NEAR(costs.of(101), 34000, 1);
  EXPECT_GT(costs.of(256), 70000);
  EXPECT_NEAR(costs.of_one_more(20), 300, 1);
  EXPECT_EQ(costs.most_within(19001), 51u);
  EXPECT_EQ(costs.most_within(1e9), 256u);
  EXPECT_EQ(costs.most_within(1), 0u);
}

TEST(StepCosts, FollowsTheMachineButNotAHiccup) {
  StepCosts costs(64);
  for (int i = 0; i < 20; ++i) costs.measured(4, 1000);
  costs.measured(4, 1000000);
  EXPECT_LT(costs.of(4), 1500);
  for (int i = 0; i < 40; ++i) costs.measured(4, 2000);
  EXPECT_NEAR(costs.of(4), 2000, 50);
}

TEST(StepCosts, NeverFalls) {
  StepCosts costs(64);
  costs.measured(2, 5000);
  costs.measured(8, 1000);
  for (std::uint32_t n = 1; n <= 64; ++n) EXPECT_GE(costs.of(n), costs.of(n - 1));
}

TEST(StepCosts, TakesNothingForAnAnswer) {
  StepCosts costs(8);
  costs.measured(0, 100);
  costs.measured(3, 0);
  EXPECT_FALSE(costs.known());
}

}  // namespace
}  // namespace aorta::engine
