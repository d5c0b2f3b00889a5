#include "engine/batch/prefill_share.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace aorta::engine {
namespace {

std::vector<std::uint32_t> divided(std::vector<PrefillShare> shares, const PrefillRoom& room) {
  divide_prefill(shares, room);
  std::vector<std::uint32_t> takes;
  for (const PrefillShare& share : shares) takes.push_back(share.take);
  return takes;
}

std::vector<std::uint32_t> divided(const std::vector<std::uint32_t>& remaining,
                                   std::uint32_t budget, bool oldest_first = true) {
  std::vector<PrefillShare> shares;
  for (const std::uint32_t r : remaining) shares.push_back({.remaining = r});
  return divided(shares, {.positions = budget, .oldest_first = oldest_first});
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

TEST(PrefillShare, OnePositionGoesRound) {
  EXPECT_EQ(divided({9, 9, 9}, 1), (Takes{1, 0, 0}));
  EXPECT_EQ(divided({9, 9, 8}, 1, false), (Takes{0, 0, 1}));
  EXPECT_EQ(divided({9}, 1, false), (Takes{1}));
  EXPECT_EQ(divided({9, 9, 9}, 0), (Takes{0, 0, 0}));
}

// A machine that computes a position in 100 us, and attends to ten in 1 us.
class PrefillTime : public testing::Test {
 protected:
  PrefillTime() {
    for (int step = 0; step < 200; ++step) {
      StepWork work;
      work.add(static_cast<std::uint32_t>(step % 20) * 400,
               1 + static_cast<std::uint32_t>(step % 7));
      costs_.measured(work, us(work));
    }
  }
  static double us(const StepWork& work) { return 100.0 * work.positions + 0.1 * work.attention; }
  static StepWork work_of(const std::vector<PrefillShare>& shares, const Takes& takes) {
    StepWork work;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      if (takes[i] > 0) work.add(shares[i].first, takes[i]);
    }
    return work;
  }
  PrefillRoom room(double longest_us, bool oldest_first = true) const {
    return {
        .positions = 256, .costs = &costs_, .longest_us = longest_us, .oldest_first = oldest_first};
  }

  StepCosts costs_{256, StepCosts::Beyond::in_proportion};
};

TEST_F(PrefillTime, AChunkIsSmallerBehindALongContext) {
  const Takes early = divided({{.first = 0, .remaining = 5000}}, room(5000));
  const Takes late = divided({{.first = 3000, .remaining = 5000}}, room(5000));
  EXPECT_GT(early[0], 30u);
  EXPECT_LT(late[0], 20u);
  EXPECT_GT(late[0], 5u);
}

TEST_F(PrefillTime, HalfOfItIsTheOldests) {
  const std::vector<PrefillShare> shares = {{.first = 2000, .remaining = 5000}, {.remaining = 90}};
  const Takes takes = divided(shares, room(6000));
  const double oldests = us(work_of(shares, {takes[0], 0}));
  EXPECT_NEAR(oldests, 3000, 600);
  EXPECT_LE(us(work_of(shares, takes)), 6000 * 1.1);
  EXPECT_GT(takes[1], 2 * takes[0]) << "its positions cost less";
}

TEST_F(PrefillTime, BriefOnesMayTakeMoreOfIt) {
  const PrefillShare brief = {.remaining = 90, .brief = true}, bulk = {.remaining = 5000};
  PrefillRoom more = room(3000);
  more.longest_with_brief_us = 12000;
  EXPECT_LT(divided({bulk}, more)[0], 30u);
  EXPECT_EQ(divided({brief}, more), (Takes{90}));
  const Takes beside = divided({bulk, {.remaining = 50}, brief}, more);
  EXPECT_NEAR(beside[0], 15, 5) << "half of what it has without them";
  EXPECT_EQ(beside[1], 0u) << "it is shorter, but a long one's end";
  EXPECT_GE(beside[2], 80u);
  const Takes among = divided({brief, brief, brief}, more);
  EXPECT_EQ(among[0], 90u) << "one after the other";
  EXPECT_LE(us(work_of({brief, brief, brief}, among)), 12000 * 1.1);
}

TEST_F(PrefillTime, OneThatTakesAllTheTimeTakesTurns) {
  const std::vector<PrefillShare> shares = {{.first = 8000, .remaining = 100}, {.remaining = 90}};
  EXPECT_EQ(divided(shares, room(1000, true)), (Takes{1, 0}));
  const Takes next = divided(shares, room(1000, false));
  EXPECT_EQ(next[0], 0u);
  EXPECT_GE(next[1], 7u);
  EXPECT_EQ(divided({shares[0]}, room(1000, false)), (Takes{1})) << "nobody else wants it";
}

}  // namespace
}  // namespace aorta::engine
