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

// Calls job(piece, work) for each; work in products of a query with a position, and what a piece
// takes beside them.
template <class Job>
void CpuBackend::each_piece(std::span<const RowSpan> spans, const AttentionShape& shape,
                            const Job& job) {
  const std::uint32_t group = shape.heads / shape.kv_heads;
  for (const RowSpan& span : spans) {
    const std::uint32_t all = span.count * group;
    for (std::uint32_t first = 0; first < all; first += max_queries) {
      const std::uint32_t queries = std::min(max_queries, all - first);
      const std::uint32_t visible = span.position + (first + queries - 1) / group + 1;
      for (std::uint32_t h = 0; h < shape.kv_heads; ++h) {
        job(Piece{&span, first, queries, h}, std::uint64_t{queries} * (visible + 32));
      }
    }
  }
}

std::uint64_t CpuBackend::attention_work(std::span<const RowSpan> spans) const {
  std::uint64_t work = 0;
  each_piece(spans, kv_.shape(), [&](const Piece&, std::uint64_t each) { work += each; });
  return work;
}

void CpuBackend::attention(std::uint32_t layer, float scale, std::span<const RowSpan> spans,
                           const float* q, float* out, Form form) {
  const AttentionShape& shape = kv_.shape();
  const std::uint32_t group = shape.heads / shape.kv_heads, width = shape.heads * shape.head_size;
  const QuantisedRows blocks_out(out, rows_of(spans), width, kernels_.panel_rows);
  AORTA_CHECK(form == Form::floats || shape.head_size % quantum == 0, "heads of partial blocks");
  const auto run = [&](const Piece& piece, const Piece& next, AttentionJob& job) {
    const RowSpan& span = *piece.span;
    alignas(64) float attended[max_queries * max_head_size];
    job.kv = kv_.head(0, layer, piece.kv_head);
    job.block_stride = kv_.block_stride();
    job.blocks = span.blocks.data();
    job.head_size = shape.head_size;
    job.scale = scale;
    job.queries = piece.queries;
    for (std::uint32_t i = 0; i < job.queries; ++i) {
      const std::uint32_t row = (piece.first + i) / group;
      const std::uint32_t head = piece.kv_head * group + (piece.first + i) % group;
      const std::size_t at = (std::size_t{span.row + row} * shape.heads + head) * shape.head_size;
      job.query[i] = q + at;
      job.out[i] = form == Form::quantised ? attended + i * shape.head_size : out + at;
      job.visible[i] = span.position + row + 1;
    }
    for (std::uint32_t i = 0; i < ahead_blocks; ++i) {
      const auto& blocks = next.span->blocks;
      job.next_keys[i] =
          kv_.head(blocks[i * kv_block < next.span->position ? i : 0], layer, next.kv_head);
    }
    kernels_.attend(job);
    if (form == Form::quantised) quantise_heads(piece, attended, blocks_out);
  };
  // Consecutive pieces of as equal work as can be: a thread reads whole blocks of KV, all heads.
  const std::uint64_t work = attention_work(spans);
  const auto deal = [&](std::uint64_t thread, std::uint64_t threads) {
    std::uint64_t before = 0;
    AttentionJob job;
    Piece last = {};
    each_piece(spans, shape, [&](const Piece& piece, std::uint64_t each) {
      if ((before + each / 2) * threads / work == thread) {
        if (last.span != nullptr) run(last, piece, job);
        last = piece;
      }
      before += each;
    });
    if (last.span != nullptr) run(last, last, job);
  };
  const FloatEnvironment environment;
  for (KvAhead& ahead : ahead_) ahead = {};
  if (work * shape.head_size / 8 < worth_sharing) return deal(0, 1);
  pool_->run([&](std::uint32_t thread) { deal(thread, pool_->size()); });
}

// Queries of one row lie side by side there.
void CpuBackend::quantise_heads(const Piece& piece, const float* attended,
                                const QuantisedRows& to) const {
  const AttentionShape& shape = kv_.shape();
  const std::uint32_t group = shape.heads / shape.kv_heads, size = shape.head_size;
  for (std::uint32_t i = 0, count; i < piece.queries; i += count) {
    const std::uint32_t head = (piece.first + i) % group;
    count = std::min(group - head, piece.queries - i);
    const std::uint32_t row = piece.span->row + (piece.first + i) / group;
    const std::uint32_t block = (piece.kv_head * group + head) * size / quantum;
    const std::uint32_t panel = to.panel_of(row), in_panel = row - to.first_row(panel);
    kernels_.quantise(attended + std::size_t{i} * size, 0, to.panel(panel),
                      {in_panel, in_panel + 1, block, block + count * size / quantum});
  }
}

void CpuBackend::fetch_kv(std::uint32_t layer, std::span<const RowSpan> spans) {
  const std::uint64_t work = attention_work(spans), threads = pool_->size();
  const AttentionShape& shape = kv_.shape();
  std::uint64_t before = 0;
  std::uint32_t thread = 0, index = 0;
  std::uint32_t begin = 0;
  for (const RowSpan& span : spans) {
    std::uint64_t each = 0;
    each_piece({&span, 1}, shape, [&](const Piece&, std::uint64_t w) { each += w; });
    const auto owner = static_cast<std::uint32_t>((before + each / 2) * threads / work);
    if (owner != thread) {
      ahead_[thread] = KvAhead(kv_, layer, spans.subspan(begin, index - begin));
      thread = owner;
      begin = index;
    }
    before += each;
    ++index;
  }
  ahead_[thread] = KvAhead(kv_, layer, spans.subspan(begin));
}

}  // namespace aorta::engine::cpu
