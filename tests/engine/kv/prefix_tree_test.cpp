#include "engine/kv/prefix_tree.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "engine/kv/block_name.hpp"

namespace aorta::engine {
namespace {

std::vector<TokenId> ids_of(std::uint32_t seed, std::size_t count) {
  std::mt19937 random(seed);
  std::vector<TokenId> ids(count);
  for (TokenId& id : ids) id = static_cast<TokenId>(random() % 1000);
  return ids;
}

TEST(BlockName, DependsOnSaltAndEveryIdBeforeItsEnd) {
  const auto ids = ids_of(1, 70);
  const auto names = name_blocks(0, ids);
  ASSERT_EQ(names.size(), 4u) << "70 ids fill 4 blocks";
  EXPECT_EQ(std::set<BlockName>(names.begin(), names.end()).size(), 4u);
  EXPECT_NE(name_blocks(1, ids)[0], names[0]);
  for (std::size_t at = 0; at < 64; ++at) {
    auto other = ids;
    other[at] ^= 1;
    const auto changed = name_blocks(0, other);
    for (std::size_t block = 0; block < 4; ++block) {
      EXPECT_EQ(changed[block] == names[block], block < at / 16) << at << " " << block;
    }
  }
  const std::span<const TokenId> all(ids);
  EXPECT_EQ(name_after(names[0], all.subspan<16, 16>()), names[1]) << "one by one is the same";
}

// Names travel between hosts of one mesh: a change of their bits is a change of the protocol.
TEST(BlockName, TheBitsAreFixed) {
  std::vector<TokenId> ids(16);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<TokenId>(i);
  const BlockName name = name_blocks(7, ids)[0];
  EXPECT_EQ(name.low, 0xe4ec6d4e6c8c8803u);
  EXPECT_EQ(name.high, 0xc25a8d9058c7153au);
}

BlockName name(std::uint64_t number) { return {number * 0x9E3779B97F4A7C15u, number}; }

TEST(PrefixTree, ANamedBlockStaysUntilItsPlaceIsNeeded) {
  PrefixTree tree(2);
  const auto block = tree.take().value();
  EXPECT_EQ(tree.add(block, name(1)), block);
  tree.release(block);
  EXPECT_EQ(tree.used(), 0u);
  EXPECT_EQ(tree.cached(), 1u);
  EXPECT_EQ(tree.available(), 2u);
  EXPECT_EQ(tree.find(name(1)), block);
  EXPECT_EQ(tree.next_victim(), std::nullopt) << "a free one is left";
  EXPECT_NE(tree.take(), block);
  EXPECT_EQ(tree.next_victim(), block);
  EXPECT_EQ(tree.take(), block);
  EXPECT_EQ(tree.find(name(1)), std::nullopt);
  EXPECT_EQ(tree.take(), std::nullopt);
}

TEST(PrefixTree, AHeldBlockIsNobodysVictim) {
  PrefixTree tree(1);
  const auto block = tree.take().value();
  tree.add(block, name(1));
  tree.release(block);
  tree.hold(block);
  EXPECT_EQ(tree.next_victim(), std::nullopt);
  EXPECT_EQ(tree.take(), std::nullopt);
  EXPECT_TRUE(tree.held(block));
}

TEST(PrefixTree, TheBlockFilledTwiceIsOne) {
  PrefixTree tree(2);
  const auto first = tree.take().value(), second = tree.take().value();
  EXPECT_EQ(tree.add(first, name(1)), first);
  EXPECT_EQ(tree.add(second, name(1)), first);
  EXPECT_EQ(tree.used(), 1u);
  EXPECT_EQ(tree.take(), second);
  tree.release(first);
  EXPECT_TRUE(tree.held(first)) << "both hold it";
}

// Sequences of a few common beginnings come, grow, and go, in a pool that is too small for all. A
// plain model says who holds what.
class Traffic {
 public:
  explicit Traffic(std::uint32_t seed) : random_(seed), tree_(4 + random_() % 40) {}

  void run() {
    for (int turn = 0; turn < 2000; ++turn) {
      const auto what = random_() % 4;
      if (what == 0 && lives_.size() < 6) come();
      if (what == 1 && !lives_.empty()) go();
      if (what >= 2 && !lives_.empty()) grow();
      check();
      if (testing::Test::HasFailure()) return;
    }
    while (!lives_.empty()) go();
    check();
    EXPECT_EQ(tree_.used(), 0u);
    EXPECT_EQ(tree_.available(), tree_.total());
    EXPECT_GT(hits_, 50u);
  }

 private:
  struct Life {
    std::vector<BlockName> path;  // of a tree of names: three ways on from each
    std::vector<std::uint32_t> blocks;
    std::optional<std::uint32_t> writing;  // a block that is not full yet
  };

  BlockName further(const std::vector<BlockName>& path) {
    const std::uint64_t before = path.empty() ? 1 : path.back().low;
    return {before * 31 + random_() % 3, before + 7};
  }

  void come() {
    Life life;
    for (;;) {
      const BlockName next = further(life.path);
      const auto block = tree_.find(next);
      if (!block) break;
      tree_.hold(*block);
      ++hits_;
      life.path.push_back(next);
      life.blocks.push_back(*block);
    }
    lives_.push_back(life);
  }

  void grow() {
    Life& life = lives_[random_() % lives_.size()];
    if (!life.writing) {
      life.writing = tree_.take();
    } else {
      life.path.push_back(further(life.path));
      life.blocks.push_back(tree_.add(*life.writing, life.path.back()));
      life.writing.reset();
    }
  }

  void go() {
    const auto at = lives_.begin() + static_cast<std::ptrdiff_t>(random_() % lives_.size());
    if (at->writing) tree_.release(*at->writing);
    for (; !at->blocks.empty(); at->blocks.pop_back()) tree_.release(at->blocks.back());
    lives_.erase(at);
  }

  void check() {
    std::map<std::uint32_t, BlockName> names;
    std::set<std::uint32_t> written;
    for (const Life& life : lives_) {
      for (std::size_t i = 0; i < life.blocks.size(); ++i) {
        const auto [at, fresh] = names.emplace(life.blocks[i], life.path[i]);
        ASSERT_EQ(at->second, life.path[i]) << "a block stands for two prefixes";
        ASSERT_EQ(tree_.find(life.path[i]), life.blocks[i]) << "what is held can be found";
      }
      if (life.writing) {
        ASSERT_TRUE(written.insert(*life.writing).second);
      }
    }
    for (const std::uint32_t block : written) ASSERT_FALSE(names.contains(block));
    ASSERT_EQ(tree_.used(), names.size() + written.size());
    ASSERT_EQ(tree_.used() + tree_.available(), tree_.total());
    check_parents();
  }

  // Every block that can be found has its way from the root: none goes before those after it.
  void check_parents() {
    std::uint32_t reachable = 0;
    std::vector<std::vector<BlockName>> paths = {{}};
    while (!paths.empty()) {
      const auto path = std::move(paths.back());
      paths.pop_back();
      const std::uint64_t before = path.empty() ? 1 : path.back().low;
      for (std::uint64_t way = 0; way < 3; ++way) {
        const BlockName next{before * 31 + way, before + 7};
        if (!tree_.find(next)) continue;
        ++reachable;
        paths.push_back(path);
        paths.back().push_back(next);
      }
    }
    std::uint32_t named = 0;
    for (std::uint32_t block = 0; block < tree_.total(); ++block) named += tree_.named(block);
    ASSERT_EQ(reachable, named);
  }

  std::mt19937 random_;
  PrefixTree tree_;
  std::vector<Life> lives_;
  std::uint32_t hits_ = 0;
};

TEST(PrefixTree, RandomTrafficLeaksNothingAndLosesNoWayToABlock) {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    Traffic(seed).run();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace aorta::engine
