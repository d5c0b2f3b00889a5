#include "engine/kv/block_pool.hpp"

#include <gtest/gtest.h>

#include <set>

namespace aorta::engine {
namespace {

TEST(BlockPool, GivesEachBlockOnceAndThenNone) {
  BlockPool pool(5);
  std::set<std::uint32_t> taken;
  for (int i = 0; i < 5; ++i) taken.insert(pool.take().value());
  EXPECT_EQ(taken, (std::set<std::uint32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(pool.take(), std::nullopt);
  EXPECT_EQ(pool.used(), 5u);
  EXPECT_EQ(pool.free(), 0u);
}

TEST(BlockPool, AFreedBlockComesAgainAtOnce) {
  BlockPool pool(3);
  const auto first = pool.take().value();
  const auto second = pool.take().value();
  pool.release(first);
  EXPECT_EQ(pool.used(), 1u);
  EXPECT_EQ(pool.take(), first);
  pool.release(first);
  pool.release(second);
  EXPECT_EQ(pool.used(), 0u);
}

TEST(BlockPool, ASharedBlockIsFreeWhenItsLastHolderLetsGo) {
  BlockPool pool(1);
  const auto block = pool.take().value();
  pool.share(block);
  pool.release(block);
  EXPECT_EQ(pool.used(), 1u);
  EXPECT_EQ(pool.take(), std::nullopt);
  pool.release(block);
  EXPECT_EQ(pool.used(), 0u);
}

TEST(BlockPool, AKeptBlockIsNeitherFreeNorUsedUntilItIsForgotten) {
  BlockPool pool(1);
  const auto block = pool.take().value();
  pool.share(block);
  EXPECT_FALSE(pool.release(block, true));
  EXPECT_TRUE(pool.release(block, true));
  EXPECT_EQ(pool.cached(), 1u);
  EXPECT_EQ(pool.used() + pool.free(), 0u);
  EXPECT_EQ(pool.take(), std::nullopt);
  pool.share(block);
  EXPECT_EQ(pool.used(), 1u);
  EXPECT_EQ(pool.cached(), 0u);
  pool.release(block, true);
  pool.forget(block);
  EXPECT_EQ(pool.take(), block);
}

TEST(BlockPool, AnEmptyPoolHasNone) { EXPECT_EQ(BlockPool(0).take(), std::nullopt); }

TEST(BlockPoolDeathTest, MistakesAbort) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  BlockPool pool(2);
  const auto block = pool.take().value();
  pool.release(block);
  EXPECT_DEATH(pool.release(block), "nobody holds");
  EXPECT_DEATH(pool.share(block), "nobody holds");
  EXPECT_DEATH(pool.forget(block), "not kept");
  EXPECT_DEATH(pool.release(2), "outside the pool");
}

}  // namespace
}  // namespace aorta::engine
