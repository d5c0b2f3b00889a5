#include "engine/text/bpe.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace aorta::engine {
namespace {

using Ids = std::vector<TokenId>;

// Random merges over `letters` first ids, each making a new id; learnt one after another or, as no
// training would have it, in any order.
MergeTable random_table(std::mt19937& random, int letters, int merges, bool in_order) {
  std::vector<std::uint32_t> ranks(static_cast<std::size_t>(merges));
  std::iota(ranks.begin(), ranks.end(), 0u);
  if (!in_order) std::shuffle(ranks.begin(), ranks.end(), random);
  MergeTable table(ranks.size());
  for (int i = 0; i < merges; ++i) {
    const auto known = static_cast<unsigned>(letters + i);
    table.insert(static_cast<TokenId>(random() % known), static_cast<TokenId>(random() % known),
                 {ranks[static_cast<std::size_t>(i)], letters + i});
  }
  return table;
}

TEST(Merger, ScanningAndQueueAgree) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    const MergeTable table = random_table(random, 3, 40, round % 2 == 0);
    Merger merger(table);
    Ids ids(random() % 200);
    for (TokenId& id : ids) id = static_cast<TokenId>(random() % 3);
    Ids scanned = ids, queued = ids;
    merger.merge_scanning(scanned);
    merger.merge_queued(queued);
    ASSERT_EQ(scanned, queued) << "round " << round;
    queued = ids;
    merger.merge_queued(queued);
    ASSERT_EQ(scanned, queued) << "round " << round << ", again";
  }
}

TEST(Merger, TakesTheLowestRankThenTheLeftmost) {
  MergeTable table(3);
  table.insert(0, 1, {1, 10});
  table.insert(1, 2, {0, 11});
  table.insert(0, 0, {2, 12});
  Merger merger(table);
  Ids ids = {0, 1, 2, 0, 0, 0};
  merger.merge(ids);
  EXPECT_EQ(ids, (Ids{0, 11, 12, 0}));
}

TEST(Merger, LeavesWhatHasNoMerge) {
  const MergeTable table(0);
  Merger merger(table);
  for (Ids ids : {Ids{}, Ids{5}, Ids{5, 6, 7}, Ids(100, 4)}) {
    const Ids before = ids;
    merger.merge(ids);
    EXPECT_EQ(ids, before);
    merger.merge_queued(ids);
    EXPECT_EQ(ids, before);
  }
}

TEST(Merger, MergesAMebibyteWithoutSpaces) {
  // Pairs of pairs: 2^20 equal letters become 2^4 tokens of 2^16; quadratic work would not end.
  MergeTable table(16);
  for (TokenId i = 0; i < 16; ++i) table.insert(i, i, {static_cast<std::uint32_t>(i), i + 1});
  Merger merger(table);
  Ids ids(1 << 20, 0);
  merger.merge(ids);
  EXPECT_EQ(ids, Ids(16, 16));
}

TEST(MergeTable, KeepsTheFirstOfEqualPairs) {
  MergeTable table(2);
  table.insert(1, 2, {5, 7});
  table.insert(1, 2, {6, 8});
  EXPECT_EQ(table.find(1, 2).result, 7);
  EXPECT_EQ(table.find(2, 1).rank, Merge::no_rank);
}

}  // namespace
}  // namespace aorta::engine
