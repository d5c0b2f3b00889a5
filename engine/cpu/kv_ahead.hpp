#pragma once
// What attention will read of the KV pool, handed out in pieces: products of many rows fetch it on
// the way, since they multiply for longer than they wait for memory, and attention of many
// sequences does the opposite.
#include <cstdint>
#include <span>

#include "engine/backend.hpp"
#include "engine/cpu/paged_kv.hpp"

namespace aorta::engine::cpu {

class alignas(64) KvAhead {
 public:
  KvAhead() = default;
  KvAhead(const PagedKv& kv, std::uint32_t layer, std::span<const RowSpan> spans)
      : kv_(&kv), layer_(layer), spans_(spans) {}

  // Where the next `bytes` begin, less at the end of a block's memory of the layer; null: no more.
  const std::byte* next(std::size_t bytes) {
    if (spans_.empty()) return nullptr;
    const RowSpan& span = spans_.front();
    const std::byte* from = kv_->layer(span.blocks[block_], layer_) + offset_;
    offset_ += bytes;
    if (offset_ >= kv_->layer_bytes()) {
      offset_ = 0;
      if (++block_ * kv_block >= span.position) {
        block_ = 0;
        spans_ = spans_.subspan(1);
      }
    }
    return from;
  }

 private:
  const PagedKv* kv_ = nullptr;
  std::uint32_t layer_ = 0;
  std::span<const RowSpan> spans_;
  std::uint32_t block_ = 0;  // of the first span
  std::size_t offset_ = 0;   // in the block's memory of the layer
};

}  // namespace aorta::engine::cpu
