#pragma once
// The KV pool: [block][layer][kv head]{ K [head_size][16], V [16][head_size] } in f16, so that a
// block of 16 positions is one piece of memory.
#include <cstdint>
#include <span>

#include "engine/backend.hpp"
#include "engine/cpu/kernels.hpp"
#include "engine/cpu/memory.hpp"

namespace aorta::engine::cpu {

class PagedKv {
 public:
  Result<void> reserve(std::uint32_t layers, std::uint32_t blocks, const AttentionShape& shape) {
    shape_ = shape;
    blocks_ = blocks;
    head_elements_ = std::size_t{2} * shape.head_size * kv_block;
    layer_elements_ = head_elements_ * shape.kv_heads;
    block_elements_ = layer_elements_ * layers;
    auto memory = Memory::reserve(block_elements_ * blocks * sizeof(std::uint16_t), "the KV pool");
    if (!memory) return memory.error();
    memory_ = std::move(*memory);
    return {};
  }

  const AttentionShape& shape() const { return shape_; }
  std::uint32_t blocks() const { return blocks_; }
  std::size_t block_stride() const { return block_elements_; }
  std::uint16_t* head(std::uint32_t block, std::uint32_t layer, std::uint32_t kv_head) const {
    return reinterpret_cast<std::uint16_t*>(memory_.data()) + block * block_elements_ +
           layer * layer_elements_ + kv_head * head_elements_;
  }
  // All heads of a layer.
  const std::byte* layer(std::uint32_t block, std::uint32_t layer) const {
    return reinterpret_cast<const std::byte*>(head(block, layer, 0));
  }
  std::size_t layer_bytes() const { return layer_elements_ * sizeof(std::uint16_t); }
  std::span<std::byte> block(std::uint32_t block) const {
    const std::size_t bytes = block_elements_ * sizeof(std::uint16_t);
    return {memory_.data() + block * bytes, bytes};
  }

 private:
  Memory memory_;
  AttentionShape shape_;
  std::uint32_t blocks_ = 0;
  std::size_t head_elements_ = 0, layer_elements_ = 0, block_elements_ = 0;
};

}  // namespace aorta::engine::cpu
