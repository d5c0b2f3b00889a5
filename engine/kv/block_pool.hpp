#pragma once
// Who holds which KV block. Blocks are indices; the memory behind them is the runner's. A block is
// used (it has holders), cached (nobody holds it, its KV is kept) or free.
#include <cstdint>
#include <optional>
#include <vector>

namespace aorta::engine {

class BlockPool {
 public:
  explicit BlockPool(std::uint32_t blocks);

  // A free block with one holder; none when there is none. Reuses the block freed last, so memory
  // that was never needed is never touched.
  std::optional<std::uint32_t> take();
  // One holder more of a used or cached block.
  void share(std::uint32_t block);
  // One holder less; true when that was the last. Then the block is cached if it is to be kept,
  // free otherwise. Letting go of a block that nobody holds is a bug and aborts.
  bool release(std::uint32_t block, bool keep = false);
  // A cached block becomes a free one.
  void forget(std::uint32_t block);

  bool held(std::uint32_t block) const { return holders_[block] > 0; }
  std::uint32_t total() const { return static_cast<std::uint32_t>(holders_.size()); }
  std::uint32_t free() const { return static_cast<std::uint32_t>(free_.size()); }
  std::uint32_t cached() const { return cached_; }
  std::uint32_t used() const { return total() - free() - cached_; }

 private:
  std::vector<std::uint32_t> holders_;  // by block
  std::vector<bool> is_cached_;
  std::vector<std::uint32_t> free_;  // a stack
  std::uint32_t cached_ = 0;
};

}  // namespace aorta::engine
