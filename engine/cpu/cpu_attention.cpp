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

std::uint32_t tiles_of(std::uint32_t positions) {
  return (positions + attention_tile - 1) / attention_tile;
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
        job(Piece{&span, first, queries, h, tiles_of(visible)},
            std::uint64_t{queries} * (visible + 32));
      }
    }
  }
}

std::uint64_t CpuBackend::attention_work(std::span<const RowSpan> spans) const {
  std::uint64_t work = 0;
  each_piece(spans, kv_.shape(), [&](const Piece&, std::uint64_t each) { work += each; });
  return work;
}

// Threads take work in the order of the pieces, as equally as whole tiles can be: so each reads
// whole blocks of KV, all heads, but of the piece at either end some of the positions only.
class CpuBackend::Dealing {
 public:
  Dealing(std::uint64_t work, std::uint32_t threads) : work_(work), threads_(threads) {}

  // The first of a piece's tiles that is not of the threads before this one, where the pieces
  // before it are so much work.
  std::uint32_t cut(std::uint64_t thread, std::uint64_t before, std::uint64_t each,
                    std::uint32_t tiles) const {
    const std::uint64_t at = work_ * thread / threads_;
    if (at <= before) return 0;
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(tiles, ((at - before) * tiles + each / 2) / each));
  }
  // Who has the first of them.
  std::uint32_t first_thread(std::uint64_t before, std::uint64_t each, std::uint32_t tiles) const {
    auto thread = static_cast<std::uint32_t>(std::min(before * threads_ / work_, threads_ - 1));
    while (thread + 1 < threads_ && cut(thread + 1, before, each, tiles) == 0) ++thread;
    return thread;
  }
  bool is_split(std::uint64_t before, std::uint64_t each, std::uint32_t tiles) const {
    return cut(first_thread(before, each, tiles) + 1, before, each, tiles) < tiles;
  }
  std::uint32_t threads() const { return static_cast<std::uint32_t>(threads_); }

 private:
  std::uint64_t work_, threads_;
};

AttentionJob CpuBackend::job_of(const Piece& piece, std::uint32_t layer, float scale,
                                const float* q, float* out) const {
  const AttentionShape& shape = kv_.shape();
  const std::uint32_t group = shape.heads / shape.kv_heads;
  const RowSpan& span = *piece.span;
  AttentionJob job;
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
    job.out[i] = out + at;
    job.visible[i] = span.position + row + 1;
  }
  return job;
}

void CpuBackend::attention(std::uint32_t layer, float scale, std::span<const RowSpan> spans,
                           const float* q, float* out, Form form) {
  const AttentionShape& shape = kv_.shape();
  const QuantisedRows blocks_out(out, rows_of(spans), shape.heads * shape.head_size,
                                 kernels_.panel_rows);
  AORTA_CHECK(form == Form::floats || shape.head_size % quantum == 0, "heads of partial blocks");
  const std::uint64_t work = attention_work(spans);
  const bool shared = work * shape.head_size / 8 >= worth_sharing;
  const Dealing dealing(work, shared ? pool_->size() : 1);
  std::uint32_t most_tiles = 0;
  for (const RowSpan& span : spans) {
    most_tiles = std::max(most_tiles, tiles_of(span.position + span.count));
  }
  const std::size_t split = std::size_t{most_tiles} * max_queries * (shape.head_size + 16);
  grow(tiles_, dealing.threads() * split * sizeof(float));
  const auto leave_tiles = [&](AttentionJob& job, std::uint32_t first_thread) {
    job.tiles = reinterpret_cast<float*>(tiles_.data()) + first_thread * split;
    job.tile_queries = job.queries;
  };
  const auto finish = [&](const Piece& piece, AttentionJob& job, void (*op)(const AttentionJob&)) {
    alignas(64) float attended[max_queries * max_head_size];
    if (form == Form::floats) return op(job);
    for (std::uint32_t i = 0; i < job.queries; ++i) job.out[i] = attended + i * shape.head_size;
    op(job);
    quantise_heads(piece, attended, blocks_out);
  };
  struct Part {
    Piece piece;
    std::uint32_t first_tile = 0, end_tile = 0, first_thread = 0;
  };
  const auto run = [&](const Part& part, const Piece& next) {
    AttentionJob job = job_of(part.piece, layer, scale, q, out);
    job.first_tile = part.first_tile;
    job.end_tile = part.end_tile;
    const auto& blocks = next.span->blocks;
    for (std::uint32_t i = 0; i < ahead_blocks; ++i) {
      job.next_keys[i] =
          kv_.head(blocks[i * kv_block < next.span->position ? i : 0], layer, next.kv_head);
    }
    if (part.end_tile - part.first_tile == part.piece.tiles) {
      return finish(part.piece, job, kernels_.attend);
    }
    leave_tiles(job, part.first_thread);
    kernels_.attend(job);
  };
  const auto deal = [&](std::uint32_t thread) {
    std::uint64_t before = 0;
    Part last;
    each_piece(spans, shape, [&](const Piece& piece, std::uint64_t each) {
      const std::uint32_t first = dealing.cut(thread, before, each, piece.tiles);
      const std::uint32_t end = dealing.cut(thread + 1, before, each, piece.tiles);
      if (first < end) {
        if (last.piece.span != nullptr) run(last, piece);
        last = {piece, first, end, dealing.first_thread(before, each, piece.tiles)};
      }
      before += each;
    });
    if (last.piece.span != nullptr) run(last, last.piece);
  };
  const FloatEnvironment environment;
  for (KvAhead& ahead : ahead_) ahead = {};
  if (!shared || pool_->size() == 1) return deal(0);
  pool_->run(deal);
  std::uint64_t before = 0;
  each_piece(spans, shape, [&](const Piece& piece, std::uint64_t each) {
    if (dealing.is_split(before, each, piece.tiles)) {
      AttentionJob job = job_of(piece, layer, scale, q, out);
      leave_tiles(job, dealing.first_thread(before, each, piece.tiles));
      finish(piece, job, kernels_.merge_tiles);
    }
    before += each;
  });
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
