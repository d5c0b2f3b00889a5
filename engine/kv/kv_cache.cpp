#include "engine/kv/kv_cache.hpp"

#include <algorithm>

#include "engine/kv/block_name.hpp"

namespace aorta::engine {

KvCache::KvCache(KvOptions options)
    : options_(std::move(options)), tree_(options_.blocks), unsaved_(options_.blocks) {
  if (!options_.prefix_cache || !options_.memory) options_.store.reset();
  to_save_.reserve(options_.blocks);
}

void KvCache::name(SequenceKv& kv, std::uint64_t salt, std::span<const TokenId> ids) const {
  if (!options_.prefix_cache) return;
  while ((kv.names.size() + 1) * block_tokens <= ids.size()) {
    const BlockName before = kv.names.empty() ? chain_of(salt) : kv.names.back();
    const auto block = ids.subspan(kv.names.size() * block_tokens).first<block_tokens>();
    kv.names.push_back(name_after(before, block));
  }
}

bool KvCache::take_shared(SequenceKv& kv, std::uint32_t most) {
  const std::uint32_t before = kv.shared;
  while (kv.shared == kv.blocks.size() && kv.shared < kv.names.size() && kv.shared < most) {
    const auto block = tree_.find(kv.names[kv.shared]);
    if (!block) break;
    tree_.hold(*block);
    kv.blocks.push_back(*block);
    ++kv.shared;
  }
  return kv.shared > before;
}

bool KvCache::may_fetch(const SequenceKv& kv, std::uint32_t most) const {
  return worth_copying(kv.shared) && kv.shared == kv.blocks.size() && kv.shared < kv.names.size() &&
         kv.shared < most && options_.store->may_have(kv.names[kv.shared]);
}

std::uint32_t KvCache::positions_before_copy(const SequenceKv& kv, std::uint32_t computed,
                                             std::uint32_t most) const {
  const std::uint32_t next = std::max(copy_from_, (computed + block_tokens - 1) / block_tokens);
  // While everything is worth copying, only what the store lacks is computed.
  if (copy_from_ == 0 || next * block_tokens == computed || next >= most ||
      next >= kv.names.size() || !worth_copying(next) ||
      !options_.store->may_have(kv.names[next])) {
    return 0;
  }
  return next * block_tokens - computed;
}

bool KvCache::fetch(SequenceKv& kv, std::uint32_t most) {
  if (!may_fetch(kv, most)) return false;
  const auto block = tree_.take();
  if (!block) return false;
  const BlockName& name = kv.names[kv.shared];
  if (!options_.store->load(name, options_.memory(*block))) {
    tree_.release(*block);
    return false;
  }
  kv.blocks.push_back(tree_.add(*block, name));
  ++kv.shared;
  return true;
}

std::uint32_t KvCache::held_by_others(const SequenceKv& kv, std::uint32_t most) const {
  std::uint32_t count = kv.shared;
  for (; count < most && count < kv.names.size(); ++count) {
    const auto block = tree_.find(kv.names[count]);
    if (!block || !tree_.held(*block)) break;
  }
  return count;
}

bool KvCache::grow(SequenceKv& kv, std::uint32_t blocks) {
  while (kv.blocks.size() < blocks) {
    const auto block = tree_.take();
    if (!block) return false;
    kv.blocks.push_back(*block);
  }
  return true;
}

void KvCache::shrink(SequenceKv& kv, std::uint32_t blocks) {
  AORTA_CHECK(blocks >= kv.shared, "shared blocks stay while their sequence does");
  for (; kv.blocks.size() > blocks; kv.blocks.pop_back()) tree_.release(kv.blocks.back());
}

void KvCache::computed(SequenceKv& kv, std::uint32_t positions) {
  for (; kv.shared < kv.names.size() && (kv.shared + 1) * block_tokens <= positions; ++kv.shared) {
    const std::uint32_t mine = kv.blocks[kv.shared];
    const std::uint32_t block = tree_.add(mine, kv.names[kv.shared]);
    kv.blocks[kv.shared] = block;
    if (block != mine || !worth_copying(kv.shared)) continue;
    unsaved_[block] = true;
    if (to_save_.size() < to_save_.capacity()) to_save_.push_back(block);
  }
}

void KvCache::release(SequenceKv& kv) {
  for (std::uint32_t i = 0; i < kv.shared; ++i) {
    if (!worth_copying(i)) unsaved_[kv.blocks[i]] = false;
    save(kv.blocks[i]);
  }
  for (; !kv.blocks.empty(); kv.blocks.pop_back()) tree_.release(kv.blocks.back());
  kv.shared = 0;
}

std::uint32_t KvCache::save_some(std::uint32_t most) {
  std::uint32_t saved = 0;
  for (; saved < most && !to_save_.empty(); to_save_.pop_back()) {
    if (!unsaved_[to_save_.back()]) continue;
    save(to_save_.back());
    ++saved;
  }
  return saved;
}

void KvCache::save(std::uint32_t block) {
  if (!unsaved_[block]) return;
  unsaved_[block] = false;
  options_.store->save(tree_.name_of(block), options_.memory(block));
}

}  // namespace aorta::engine
