#pragma once
// The pool's blocks by name. A name hashes all ids before it, so the names are a radix tree whose
// edges are blocks: a block can be used by whoever's ids begin alike.
//
// Nobody writes a named block. Named blocks that nobody holds stay, and go in the order in which
// they were let go. Whoever holds a block holds those before it and lets go of the last one first:
// so no block goes before the blocks that follow it.
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/engine.hpp"
#include "engine/kv/block_pool.hpp"

namespace aorta::engine {

class PrefixTree {
 public:
  explicit PrefixTree(std::uint32_t blocks);

  // A block without a name, to be written, with one holder; none when all are held.
  std::optional<std::uint32_t> take();
  // The named block that take() would give up; none when it need not.
  std::optional<std::uint32_t> next_victim() const;

  std::optional<std::uint32_t> find(const BlockName& name) const;
  void hold(std::uint32_t block);
  void release(std::uint32_t block);
  // Says that the holder's block is full and computed. When another has that name, which was
  // filled at the same time, this one is given back and the other held instead. Returns the block
  // to go on with; it must not be written any more.
  std::uint32_t add(std::uint32_t block, const BlockName& name);

  bool named(std::uint32_t block) const { return entries_[block].named; }
  const BlockName& name_of(std::uint32_t block) const { return entries_[block].name; }
  bool held(std::uint32_t block) const { return pool_.held(block); }
  std::uint32_t total() const { return pool_.total(); }
  std::uint32_t used() const { return pool_.used(); }
  std::uint32_t cached() const { return pool_.cached(); }
  std::uint32_t available() const { return pool_.free() + pool_.cached(); }

 private:
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  struct Entry {  // of a block
    BlockName name;
    bool named = false;
    std::uint32_t next_in_bucket = none;
    std::uint32_t older = none, newer = none;  // in the list of cached blocks
  };

  std::uint32_t& bucket_of(const BlockName& name);
  void forget(std::uint32_t block);
  void push_newest(std::uint32_t block);
  void unlink(std::uint32_t block);

  BlockPool pool_;
  std::vector<Entry> entries_;          // by block
  std::vector<std::uint32_t> buckets_;  // first block of each; a power of two of them
  std::uint32_t oldest_ = none, newest_ = none;
};

}  // namespace aorta::engine
