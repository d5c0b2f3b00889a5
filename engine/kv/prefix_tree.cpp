#include "engine/kv/prefix_tree.hpp"

#include <bit>

#include "base/result.hpp"

namespace aorta::engine {

PrefixTree::PrefixTree(std::uint32_t blocks)
    : pool_(blocks), entries_(blocks), buckets_(std::bit_ceil(std::size_t{blocks} + 1), none) {}

std::uint32_t& PrefixTree::bucket_of(const BlockName& name) {
  return buckets_[name.low & (buckets_.size() - 1)];
}

std::optional<std::uint32_t> PrefixTree::next_victim() const {
  if (pool_.free() > 0 || oldest_ == none) return std::nullopt;
  return oldest_;
}

std::optional<std::uint32_t> PrefixTree::take() {
  if (const auto victim = next_victim()) forget(*victim);
  return pool_.take();
}

std::optional<std::uint32_t> PrefixTree::find(const BlockName& name) const {
  std::uint32_t block = buckets_[name.low & (buckets_.size() - 1)];
  while (block != none && entries_[block].name != name) block = entries_[block].next_in_bucket;
  if (block == none) return std::nullopt;
  return block;
}

void PrefixTree::hold(std::uint32_t block) {
  if (!pool_.held(block)) unlink(block);
  pool_.share(block);
}

void PrefixTree::release(std::uint32_t block) {
  const bool keep = entries_[block].named;
  if (pool_.release(block, keep) && keep) push_newest(block);
}

std::uint32_t PrefixTree::add(std::uint32_t block, const BlockName& name) {
  AORTA_CHECK(pool_.held(block) && !named(block), "a block is named once, by its holder");
  if (const auto twin = find(name)) {
    hold(*twin);
    release(block);
    return *twin;
  }
  std::uint32_t& bucket = bucket_of(name);
  Entry& entry = entries_[block];
  entry.name = name;
  entry.named = true;
  entry.next_in_bucket = bucket;
  bucket = block;
  return block;
}

void PrefixTree::forget(std::uint32_t block) {
  Entry& entry = entries_[block];
  std::uint32_t* at = &bucket_of(entry.name);
  while (*at != block) at = &entries_[*at].next_in_bucket;
  *at = entry.next_in_bucket;
  entry.named = false;
  unlink(block);
  pool_.forget(block);
}

void PrefixTree::push_newest(std::uint32_t block) {
  Entry& entry = entries_[block];
  entry.older = newest_;
  entry.newer = none;
  (newest_ == none ? oldest_ : entries_[newest_].newer) = block;
  newest_ = block;
}

void PrefixTree::unlink(std::uint32_t block) {
  Entry& entry = entries_[block];
  (entry.older == none ? oldest_ : entries_[entry.older].newer) = entry.newer;
  (entry.newer == none ? newest_ : entries_[entry.newer].older) = entry.older;
  entry.older = entry.newer = none;
}

}  // namespace aorta::engine
