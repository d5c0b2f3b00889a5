#include "engine/kv/block_store.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "engine/kv/block_store_format.hpp"

namespace aorta::engine {

using store_format::Slot;

namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto acquire = std::memory_order_acquire;

void count(store_format::Counter& counter) { counter.fetch_add(1, relaxed); }

// At least 1: it was measured.
std::uint32_t us_since(std::chrono::steady_clock::time_point begin) {
  const auto took = std::chrono::steady_clock::now() - begin;
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
  return static_cast<std::uint32_t>(std::max<std::int64_t>(us, 1));
}

bool dead(std::uint64_t pid) { return ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH; }

}  // namespace

SharedBlockStore::SharedBlockStore(std::string path, int file, void* mapping, std::uint64_t bytes)
    : path_(std::move(path)),
      file_(file),
      mapping_(static_cast<std::byte*>(mapping)),
      bytes_(bytes) {}

SharedBlockStore::~SharedBlockStore() {
  ::munmap(mapping_, bytes_);
  ::close(file_);
}

store_format::Header& SharedBlockStore::header() const {
  return *reinterpret_cast<store_format::Header*>(mapping_);
}

std::uint64_t SharedBlockStore::block_bytes() const { return header().block_bytes; }

std::span<Slot> SharedBlockStore::set_of(const BlockName& name) const {
  const std::uint64_t sets = header().slots / store_format::ways;
  const std::uint64_t set = (name.low ^ numerics_) % sets;
  Slot* slots = reinterpret_cast<Slot*>(mapping_ + store_format::page);
  return {slots + set * store_format::ways, store_format::ways};
}

std::byte* SharedBlockStore::block_of(const Slot& slot) const {
  const Slot* slots = reinterpret_cast<const Slot*>(mapping_ + store_format::page);
  const auto index = static_cast<std::uint64_t>(&slot - slots);
  return mapping_ + store_format::blocks_at(header().slots) + index * header().stride;
}

// Covers what the block is called, so a slot whose words are of two writers is torn too.
std::uint64_t SharedBlockStore::checksum(const BlockName& name,
                                         std::span<const std::byte> block) const {
  const std::uint64_t words[] = {name.low, name.high, numerics_};
  return XXH3_64bits_withSeed(block.data(), block.size(), XXH3_64bits(words, sizeof(words)));
}

Slot* SharedBlockStore::find(const BlockName& name, std::uint64_t& state) const {
  for (Slot& slot : set_of(name)) {
    state = slot.state.load(acquire);
    if ((state & store_format::full) == 0) continue;
    if (slot.low.load(relaxed) == name.low && slot.high.load(relaxed) == name.high &&
        slot.numerics.load(relaxed) == numerics_) {
      return &slot;
    }
  }
  return nullptr;
}

bool SharedBlockStore::may_have(const BlockName& name) const {
  std::uint64_t state = 0;
  const bool found = header().closed.load(relaxed) == 0 && find(name, state) != nullptr;
  if (!found) count(header().missed);
  return found;
}

bool SharedBlockStore::load(const BlockName& name, std::span<std::byte> into) {
  const auto begin = std::chrono::steady_clock::now();
  if (!copy(name, into)) return false;
  last_load_us_ = us_since(begin);
  return true;
}

// The copy may race with a writer: what it then holds is thrown away.
bool SharedBlockStore::copy(const BlockName& name, std::span<std::byte> into) {
  std::uint64_t state = 0;
  Slot* slot = header().closed.load(relaxed) == 0 ? find(name, state) : nullptr;
  if (slot == nullptr || slot->bytes.load(relaxed) != into.size()) {
    count(header().missed);
    return false;
  }
  const std::uint64_t expected = slot->checksum.load(relaxed);
  std::memcpy(into.data(), block_of(*slot), into.size());
  std::atomic_thread_fence(acquire);
  if (slot->state.load(relaxed) != state) {
    count(header().missed);
    return false;
  }
  if (checksum(name, into) != expected) {
    slot->state.compare_exchange_strong(state, store_format::after(state, 0));
    count(header().torn);
    return false;
  }
  slot->used.store(header().clock.fetch_add(1, relaxed) + 1, relaxed);
  count(header().loaded);
  return true;
}

void SharedBlockStore::save(const BlockName& name, std::span<const std::byte> block) {
  const auto begin = std::chrono::steady_clock::now();
  keep(name, block);
  last_save_us_ = us_since(begin);
}

// In an empty slot, if there is memory for it; else in the least recently used.
void SharedBlockStore::keep(const BlockName& name, std::span<const std::byte> block) {
  if (header().closed.load(relaxed) != 0 || block.size() > header().block_bytes) return;
  std::uint64_t state = 0;
  if (Slot* slot = find(name, state)) {
    slot->used.store(header().clock.fetch_add(1, relaxed) + 1, relaxed);
    return;
  }
  Slot *empty = nullptr, *oldest = nullptr;
  for (Slot& slot : set_of(name)) {
    state = slot.state.load(acquire);
    if ((state & store_format::writing) != 0) continue;
    if ((state & store_format::full) == 0) {
      if (empty == nullptr || empty->claimed.load(relaxed) < slot.claimed.load(relaxed)) {
        empty = &slot;
      }
    } else if (oldest == nullptr || slot.used.load(relaxed) < oldest->used.load(relaxed)) {
      oldest = &slot;
    }
  }
  if (empty != nullptr && write(*empty, name, block)) return;
  if (oldest != nullptr) write(*oldest, name, block);
}

// False: somebody else writes it, or it has no memory.
bool SharedBlockStore::write(Slot& slot, const BlockName& name, std::span<const std::byte> block) {
  std::uint64_t state = slot.state.load(acquire);
  if ((state & store_format::writing) != 0) return false;
  const auto pid = static_cast<std::uint64_t>(::getpid());
  const bool evicts = (state & store_format::full) != 0;
  std::uint64_t mine = store_format::after(state, store_format::writing, pid);
  if (!slot.state.compare_exchange_strong(state, mine)) return false;
  std::atomic_thread_fence(std::memory_order_release);  // before the first byte changes
  if (!claim(slot)) {
    slot.state.compare_exchange_strong(mine, store_format::after(mine, 0));
    return false;
  }
  slot.low.store(name.low, relaxed);
  slot.high.store(name.high, relaxed);
  slot.numerics.store(numerics_, relaxed);
  slot.bytes.store(block.size(), relaxed);
  slot.checksum.store(checksum(name, block), relaxed);
  slot.used.store(header().clock.fetch_add(1, relaxed) + 1, relaxed);
  std::memcpy(block_of(slot), block.data(), block.size());
  // Not ours any more if the owner took this process for dead.
  if (!slot.state.compare_exchange_strong(mine, store_format::after(mine, store_format::full))) {
    return true;
  }
  count(header().saved);
  if (evicts) count(header().evicted);
  return true;
}

bool SharedBlockStore::claim(Slot& slot) {
  if (slot.claimed.load(relaxed) != 0) return true;
  const auto at = static_cast<off_t>(block_of(slot) - mapping_);
  if (::fallocate(file_, 0, at, static_cast<off_t>(header().stride)) != 0) {
    count(header().refused);
    return false;
  }
  slot.claimed.store(1, relaxed);
  return true;
}

SharedBlockStore::Figures SharedBlockStore::figures() const {
  const store_format::Header& h = header();
  Figures f;
  f.slots = h.slots;
  f.file_bytes = h.file_bytes;
  f.claimed_bytes = store_format::blocks_at(h.slots);
  const Slot* slots = reinterpret_cast<const Slot*>(mapping_ + store_format::page);
  for (std::uint64_t i = 0; i < h.slots; ++i) {
    const std::uint64_t state = slots[i].state.load(relaxed);
    f.full += (state & store_format::full) != 0;
    f.writing += (state & store_format::writing) != 0;
    f.claimed_bytes += slots[i].claimed.load(relaxed) * h.stride;
  }
  f.saved = h.saved.load(relaxed);
  f.loaded = h.loaded.load(relaxed);
  f.missed = h.missed.load(relaxed);
  f.evicted = h.evicted.load(relaxed);
  f.refused = h.refused.load(relaxed);
  f.torn = h.torn.load(relaxed);
  return f;
}

std::uint32_t SharedBlockStore::reclaim() {
  std::uint32_t reclaimed = 0;
  Slot* slots = reinterpret_cast<Slot*>(mapping_ + store_format::page);
  for (std::uint64_t i = 0; i < header().slots; ++i) {
    std::uint64_t state = slots[i].state.load(relaxed);
    if ((state & store_format::writing) == 0 || !dead(store_format::writer_of(state))) continue;
    reclaimed += slots[i].state.compare_exchange_strong(state, store_format::after(state, 0));
  }
  return reclaimed;
}

}  // namespace aorta::engine
