#include "engine/kv/block_pool.hpp"

#include "base/result.hpp"

namespace aorta::engine {

BlockPool::BlockPool(std::uint32_t blocks) : holders_(blocks), is_cached_(blocks) {
  free_.reserve(blocks);
  for (std::uint32_t block = blocks; block > 0; --block) free_.push_back(block - 1);
}

std::optional<std::uint32_t> BlockPool::take() {
  if (free_.empty()) return std::nullopt;
  const std::uint32_t block = free_.back();
  free_.pop_back();
  holders_[block] = 1;
  return block;
}

void BlockPool::share(std::uint32_t block) {
  AORTA_CHECK(block < holders_.size(), "a KV block outside the pool");
  AORTA_CHECK(holders_[block] > 0 || is_cached_[block], "a KV block that nobody holds or keeps");
  if (is_cached_[block]) {
    is_cached_[block] = false;
    --cached_;
  }
  ++holders_[block];
}

bool BlockPool::release(std::uint32_t block, bool keep) {
  AORTA_CHECK(block < holders_.size(), "a KV block outside the pool");
  AORTA_CHECK(holders_[block] > 0, "a KV block that nobody holds");
  if (--holders_[block] > 0) return false;
  if (keep) {
    is_cached_[block] = true;
    ++cached_;
  } else {
    free_.push_back(block);
  }
  return true;
}

void BlockPool::forget(std::uint32_t block) {
  AORTA_CHECK(block < holders_.size() && is_cached_[block], "a KV block that is not kept");
  is_cached_[block] = false;
  --cached_;
  free_.push_back(block);
}

}  // namespace aorta::engine
