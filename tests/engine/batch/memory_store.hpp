#pragma once
// A block store in a map, that counts what is asked of it.
#include <cstring>
#include <map>
#include <vector>

#include "engine/engine.hpp"

namespace aorta::engine {

class MemoryStore final : public BlockStore {
 public:
  bool may_have(const BlockName& name) const override { return blocks.contains(name); }
  bool load(const BlockName& name, std::span<std::byte> into) override {
    const auto at = blocks.find(name);
    if (at == blocks.end() || at->second.size() != into.size() || refuse) return false;
    std::memcpy(into.data(), at->second.data(), into.size());
    ++loads;
    return true;
  }
  std::uint32_t last_load_us() const override { return load_us; }
  std::uint32_t last_save_us() const override { return save_us; }
  void save(const BlockName& name, std::span<const std::byte> block) override {
    ++saves;
    saved_twice += !blocks.emplace(name, std::vector<std::byte>(block.begin(), block.end())).second;
  }

  std::map<BlockName, std::vector<std::byte>> blocks;
  std::uint32_t loads = 0, saves = 0, saved_twice = 0;
  std::uint32_t save_us = 0;  // as load_us
  std::uint32_t load_us = 0;  // what a load is said to have taken; 0: nothing is said
  bool refuse = false;        // what was there is gone by the time it is read
};

}  // namespace aorta::engine
