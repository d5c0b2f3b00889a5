#include "engine/batch/prefill_share.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace aorta::engine {
namespace {

std::vector<std::uint32_t> divided(std::vector<std::uint32_t> remaining, std::uint32_t budget) {
  std::vector<PrefillShare> shares;
  for (const std::uint32_t r : remaining) shares.push_back({.remaining = r});
  divide_prefill(shares, budget);
  std::vector<std::uint32_t> takes;
  for (const PrefillShare& share : shares) takes.push_back(share.take);
  return takes;
}

using Takes = std::vector<std::uint32_t>;

TEST(PrefillShare, OneAloneGetsTheBudget) {
  EXPECT_EQ(divided({1000}, 256), (Takes{256}));
  EXPECT_EQ(divided({100}, 256), (Takes{100}));
  EXPECT_EQ(divided({}, 256), Takes{});
}

TEST(PrefillShare, TheOldestGetsHalfAndTheShortestTheRest) {
  EXPECT_EQ(divided({1000, 500, 20, 100}, 200), (Takes{100, 0, 20, 80}));
  EXPECT_EQ(divided({1000, 50, 50}, 101), (Takes{51, 50, 0}));  // the older on a tie
}

TEST(PrefillShare, NothingOfTheBudgetLiesIdle) {
  EXPECT_EQ(divided({1000, 10, 20}, 200), (Takes{170, 10, 20}));
  EXPECT_EQ(divided({10, 300}, 200), (Takes{10, 190}));
  EXPECT_EQ(divided({10, 30}, 200), (Takes{10, 30}));
}

TEST(PrefillShare, OnePositionIsTheOldests) {
  EXPECT_EQ(divided({9, 9, 9}, 1), (Takes{1, 0, 0}));
  EXPECT_EQ(divided({9, 9, 9}, 0), (Takes{0, 0, 0}));
}

}  // namespace
}  // namespace aorta::engine
