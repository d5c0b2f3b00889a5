#pragma once
// Who holds which KV block. Blocks are indices; the memory behind them is the runner's. Taken as
// tokens come, free again the moment their last holder lets go.
#include <cstdint>
#include <optional>
#include <vector>

namespace aorta::engine {

class BlockPool {
 public:
  explicit BlockPool(std::uint32_t blocks);

  // A free block with one holder; none when all are held. Reuses the block freed last, so memory
  // that was never needed is never touched.
  std::optional<std::uint32_t> take();
  // One holder more of a held block: sequences with a common prefix may read the same one.
  void share(std::uint32_t block);
  // One holder less. Letting go of a free block is a bug and aborts.
  void release(std::uint32_t block);

  std::uint32_t total() const { return static_cast<std::uint32_t>(holders_.size()); }
  std::uint32_t free() const { return static_cast<std::uint32_t>(free_.size()); }
  std::uint32_t used() const { return total() - free(); }

 private:
  void check_held(std::uint32_t block) const;

  std::vector<std::uint32_t> holders_;  // by block
  std::vector<std::uint32_t> free_;     // a stack
};

}  // namespace aorta::engine
