// CpuBackend's KV write and attention.
#include <algorithm>

#include "engine/cpu/cpu_backend.hpp"

namespace aorta::engine::cpu {
namespace {

std::uint32_t rows_of(std::span<const RowSpan> spans) {
  std::uint32_t rows = 0;
  for (const RowSpan& span : spans) rows += span.count;
  return rows;
}

}  // namespace

void CpuBackend::store_position(std::uint32_t layer, const float* cos_sin, const RowSpan& span,
                                std::uint32_t index, float* q, float* k, const float* v) const {
  const AttentionShape& shape = kv_.shape();
  const std::uint32_t position = span.position + index, size = shape.head_size;
  const std::size_t row = span.row + index;
  const std::uint32_t block = span.blocks[position / kv_block];
  AORTA_CHECK(block < kv_.blocks(), "a KV block outside the pool");
  const float* angle = cos_sin + std::size_t{position} * size;
  for (std::uint32_t h = 0; h < shape.heads; ++h) {
    kernels_.rope(q + (row * shape.heads + h) * size, angle, size);
  }
  for (std::uint32_t h = 0; h < shape.kv_heads; ++h) {
    const std::size_t at = (row * shape.kv_heads + h) * size;
    kernels_.rope(k + at, angle, size);
    kernels_.store_kv(k + at, v + at, size, position % kv_block, kv_.head(block, layer, h));
  }
}

void CpuBackend::rope_and_store(std::uint32_t layer, const float* cos_sin,
                                std::span<const RowSpan> spans, float* q, float* k,
                                const float* v) {
  const AttentionShape& shape = kv_.shape();
  const std::uint32_t rows = rows_of(spans);
  share(rows, std::size_t{2} * rows * shape.head_size * (shape.heads + shape.kv_heads),
        [&](Range r) {
          for (const RowSpan& span : spans) {
            const std::uint32_t begin = std::max(r.begin, span.row);
            const std::uint32_t end = std::min(r.end, span.row + span.count);
            for (std::uint32_t row = begin; row < end; ++row) {
              store_position(layer, cos_sin, span, row - span.row, q, k, v);
            }
          }
        });
}

void CpuBackend::attention(std::uint32_t layer, float scale, std::span<const RowSpan> spans,
                           const float* q, float* out) {
  const AttentionShape& shape = kv_.shape();
  const std::uint32_t group = shape.heads / shape.kv_heads;
  std::size_t work = 0;
  std::uint32_t items = 0;  // (span, up to 12 of its queries, kv head)
  for (const RowSpan& span : spans) {
    work += std::size_t{span.count} * (span.position + span.count) * shape.heads * shape.head_size;
    items += (span.count * group + max_queries - 1) / max_queries * shape.kv_heads;
  }
  const auto run = [&](const RowSpan& span, std::uint32_t first, std::uint32_t kv_head) {
    AttentionJob job;
    job.kv = kv_.head(0, layer, kv_head);
    job.block_stride = kv_.block_stride();
    job.blocks = span.blocks.data();
    job.head_size = shape.head_size;
    job.scale = scale;
    job.queries = std::min(max_queries, span.count * group - first);
    for (std::uint32_t i = 0; i < job.queries; ++i) {
      const std::uint32_t row = (first + i) / group, head = kv_head * group + (first + i) % group;
      const std::size_t at = (std::size_t{span.row + row} * shape.heads + head) * shape.head_size;
      job.query[i] = q + at;
      job.out[i] = out + at;
      job.visible[i] = span.position + row + 1;
    }
    kernels_.attend(job);
  };
  // Later positions of a prefill cost more, so items are dealt round, not cut in ranges.
  const auto deal = [&](std::uint32_t thread, std::uint32_t threads) {
    std::uint32_t item = 0;
    for (const RowSpan& span : spans) {
      for (std::uint32_t first = 0; first < span.count * group; first += max_queries) {
        for (std::uint32_t h = 0; h < shape.kv_heads; ++h) {
          if (item++ % threads == thread) run(span, first, h);
        }
      }
    }
  };
  const FloatEnvironment environment;
  if (items < 2 || work / 8 < worth_sharing) return deal(0, 1);
  pool_->run([&](std::uint32_t thread) { deal(thread, pool_->size()); });
}

}  // namespace aorta::engine::cpu
