// What is to be fetched: every block before a sequence's position, in pieces, and then nothing.
#include "engine/cpu/kv_ahead.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace aorta::engine::cpu {
namespace {

TEST(KvAhead, EveryBlockOfEverySequenceInPieces) {
  PagedKv kv;
  ASSERT_TRUE(kv.reserve(3, 8, {2, 1, 16}).ok());
  ASSERT_EQ(kv.layer_bytes(), 1024u);
  const std::uint32_t tables[] = {5, 2, 7, 1};
  const RowSpan spans[] = {
      {0, 1, 17, {tables, 2}}, {1, 3, 0, {tables + 2, 1}}, {4, 1, 16, {tables + 3, 1}}};
  KvAhead ahead(kv, 1, spans);
  for (const std::uint32_t block : {5, 2, 7, 1}) {
    for (const std::size_t offset : {0, 600}) {
      EXPECT_EQ(ahead.next(600), kv.layer(block, 1) + offset) << block;
    }
  }
  EXPECT_EQ(ahead.next(600), nullptr);
  EXPECT_EQ(KvAhead().next(600), nullptr);
}

}  // namespace
}  // namespace aorta::engine::cpu
