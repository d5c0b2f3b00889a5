#pragma once
// The KV of sequences: which blocks each has, which of them are shared by name, and what of it is
// exchanged with the host's block store. The batcher says what is computed; nothing here computes.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/engine.hpp"
#include "engine/kv/prefix_tree.hpp"

namespace aorta::engine {

// One sequence's. Its first `shared` blocks are full, computed and under their names in the tree.
struct SequenceKv {
  std::vector<std::uint32_t> blocks;  // position p lives in blocks[p / 16]
  std::vector<BlockName> names;       // of the full blocks of its ids, computed or not
  std::uint32_t shared = 0;
};

struct KvOptions {
  std::uint32_t blocks = 0;
  bool prefix_cache = true;           // false: nothing is shared, saved or found
  std::shared_ptr<BlockStore> store;  // may be null
  // The memory of a block, for the store; may be null where there is none.
  std::function<std::span<std::byte>(std::uint32_t)> memory;
};

class KvCache {
 public:
  explicit KvCache(KvOptions options);

  // Names the full blocks of `ids` that have none yet; ids are only ever added.
  void name(SequenceKv& kv, std::uint64_t salt, std::span<const TokenId> ids) const;

  // Takes blocks of `names` that are in the tree, as long as all of `kv`'s are full and it has
  // fewer than `most`; true when there was one.
  bool take_shared(SequenceKv& kv, std::uint32_t most);
  // The same with one block out of the store. Costs a copy and a checksum; may_fetch() does not,
  // and may be wrong.
  bool fetch(SequenceKv& kv, std::uint32_t most);
  bool may_fetch(const SequenceKv& kv, std::uint32_t most) const;
  // How many positions to compute until it has a block of the store's in front of it that is worth
  // copying; 0: it has, or has none before `most`.
  std::uint32_t positions_before_copy(const SequenceKv& kv, std::uint32_t computed,
                                      std::uint32_t most) const;
  std::uint32_t last_load_us() const { return options_.store ? options_.store->last_load_us() : 0; }
  // From now on a sequence's blocks before this one are neither fetched nor saved: computing them
  // takes less.
  void copy_from(std::uint32_t block) { copy_from_ = block; }
  // How many of its first `most` blocks others hold now: they cost it nothing.
  std::uint32_t held_by_others(const SequenceKv& kv, std::uint32_t most) const;

  // Takes blocks to have so many; false when there are no more.
  bool grow(SequenceKv& kv, std::uint32_t blocks);
  // Gives back what is beyond so many, which nobody shares.
  void shrink(SequenceKv& kv, std::uint32_t blocks);
  // Says that the first `positions` are computed and final: their full blocks are shared from now.
  void computed(SequenceKv& kv, std::uint32_t positions);
  // Saves what was not saved yet and is worth it, and lets all go.
  void release(SequenceKv& kv);

  // Saves at most so many of the blocks filled last; returns how many.
  std::uint32_t save_some(std::uint32_t most);
  std::uint32_t last_save_us() const { return options_.store ? options_.store->last_save_us() : 0; }

  std::uint32_t total() const { return tree_.total(); }
  std::uint32_t used() const { return tree_.used(); }
  std::uint32_t cached() const { return tree_.cached(); }
  std::uint32_t available() const { return tree_.available(); }

 private:
  void save(std::uint32_t block);
  bool worth_copying(std::uint32_t at) const { return options_.store && at >= copy_from_; }

  KvOptions options_;
  PrefixTree tree_;
  std::vector<bool> unsaved_;           // by block: named, and not in the store yet
  std::vector<std::uint32_t> to_save_;  // a stack; some may be saved or gone by now
  std::uint32_t copy_from_ = 0;
};

}  // namespace aorta::engine
