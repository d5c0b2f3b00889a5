#pragma once
// The store of KV blocks that a simulated host's executors share. It outlives them, holds little
// and forgets at random, as a file in memory may.
#include <algorithm>
#include <cstddef>
#include <map>
#include <vector>

#include "engine/engine.hpp"
#include "tests/sim/random.hpp"

namespace aorta::sim {

class MemoryStore final : public engine::BlockStore {
 public:
  explicit MemoryStore(std::uint64_t seed) : random_(seed) {}
  bool may_have(const engine::BlockName& name) const override { return blocks_.contains(name); }
  bool load(const engine::BlockName& name, std::span<std::byte> into) override {
    const auto found = blocks_.find(name);
    if (found == blocks_.end() || found->second.size() != into.size()) return false;
    std::copy(found->second.begin(), found->second.end(), into.begin());
    ++loads_;
    return true;
  }
  void save(const engine::BlockName& name, std::span<const std::byte> block) override {
    if (random_.chance(0.05)) return;  // no room for it
    if (blocks_.size() >= most) {
      auto victim = blocks_.lower_bound({random_.next(), 0});
      blocks_.erase(victim == blocks_.end() ? blocks_.begin() : victim);
    }
    blocks_[name] = {block.begin(), block.end()};
  }
  std::uint64_t loads() const { return loads_; }

 private:
  static constexpr std::size_t most = 60;
  Random random_;
  std::map<engine::BlockName, std::vector<std::byte>> blocks_;
  std::uint64_t loads_ = 0;
};

}  // namespace aorta::sim
