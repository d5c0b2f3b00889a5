#include "engine/kv/block_pool.hpp"

#include "base/result.hpp"

namespace aorta::engine {

BlockPool::BlockPool(std::uint32_t blocks) : holders_(blocks) {
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
  check_held(block);
  ++holders_[block];
}

void BlockPool::release(std::uint32_t block) {
  check_held(block);
  if (--holders_[block] == 0) free_.push_back(block);
}

void BlockPool::check_held(std::uint32_t block) const {
  AORTA_CHECK(block < holders_.size(), "a KV block outside the pool");
  AORTA_CHECK(holders_[block] > 0, "a KV block that nobody holds");
}

}  // namespace aorta::engine
