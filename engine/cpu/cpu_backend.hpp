#pragma once
// The CPU's ops: each cuts its rows or outputs between the pool's threads and calls the kernels of
// one instruction set. A thread computes whole outputs, never a part of a sum.
#include <memory>
#include <string>
#include <vector>

#include "engine/backend.hpp"
#include "engine/cpu/float_environment.hpp"
#include "engine/cpu/kernels.hpp"
#include "engine/cpu/kv_ahead.hpp"
#include "engine/cpu/paged_kv.hpp"
#include "engine/cpu/quantised_rows.hpp"
#include "engine/cpu/thread_pool.hpp"

namespace aorta::engine::cpu {

class CpuBackend final : public Backend {
 public:
  CpuBackend(const Kernels& kernels, std::shared_ptr<ThreadPool> pool, std::uint32_t max_rows);

  std::string name() const override;
  float* buffer(std::uint32_t width) override;
  std::span<const float> read(const float* buffer, std::size_t size) override;
  Result<void> reserve_kv(std::uint32_t layers, std::uint32_t blocks,
                          const AttentionShape& shape) override;

  // The memory of a KV block, all layers; every block has as much.
  std::span<std::byte> block_memory(std::uint32_t block) const { return kv_.block(block); }

  void embed(const Weight& table, std::span<const TokenId> ids, float* out) override;
  void gather(const float* x, std::span<const std::uint32_t> rows, std::uint32_t width,
              float* out) override;
  void rms_norm(const float* x, const float* weight, std::uint32_t rows, std::uint32_t width,
                float epsilon, float* out) override;
  Form form_for(const Weight& weight, std::uint32_t columns) const override;
  void matmul(const Input& input, std::span<const Product> products) override;
  void gated_matmul(const Input& input, const Weight& gate, const Weight& up, float* out,
                    Form form) override;
  void rope_and_store(std::uint32_t layer, const float* cos_sin, std::span<const RowSpan> spans,
                      float* q, float* k, const float* v) override;
  void attention(std::uint32_t layer, float scale, std::span<const RowSpan> spans, const float* q,
                 float* out, Form form) override;
  void fetch_kv(std::uint32_t layer, std::span<const RowSpan> spans) override;

 private:
  // A fixed share of `items`, cut evenly by thread.
  struct Range {
    std::uint32_t begin, end;
  };
  // Below this many elementary operations (a few µs on one core) an op stays on its caller's
  // thread.
  static constexpr std::size_t worth_sharing = 32 * 1024;

  // Calls job(Range) on every thread, or on this one alone when `work` (in elementary operations)
  // is not worth waking the others.
  template <class Job>
  void share(std::uint32_t items, std::size_t work, const Job& job) {
    share_by_thread(items, work, [&](std::uint32_t, Range range) { job(range); });
  }
  template <class Job>
  void share_by_thread(std::uint32_t items, std::size_t work, const Job& job) {
    const FloatEnvironment environment;
    if (work < worth_sharing || items < 2) return job(0u, Range{0, items});
    const std::uint64_t threads = pool_->size();
    pool_->run([&](std::uint32_t thread) {
      const Range range = {static_cast<std::uint32_t>(items * std::uint64_t{thread} / threads),
                           static_cast<std::uint32_t>(items * (thread + 1ull) / threads)};
      if (range.begin < range.end) job(thread, range);
    });
  }

  // Up to so many threads, each quantises an input for itself: that takes less than waiting for
  // the others to quantise their parts, and then for their cache lines.
  static constexpr std::uint32_t threads_that_quantise_alone = 8;

  // An input as the products read it.
  struct Prepared {
    Input input;         // as floats; without a norm once that is done
    QuantisedRows rows;  // how rows are cut into panels, and their int8 form where it is shared
    bool alone = false;  // each thread has still to quantise them
  };
  class Tiles;
  Prepared prepare(const Input& input, std::uint32_t columns, bool floats, bool quantised);
  void norm_rows(const Input& input, std::uint32_t columns, Range rows, float* out) const;
  void quantise(const Input& input, const QuantisedRows& to, std::uint32_t panel, Range blocks,
                std::uint32_t thread);
  QuantisedRows rows_for(const Prepared& prepared, std::uint32_t thread);
  static void grow(Memory& memory, std::size_t bytes);
  void write(const Tiles& tiles, const Product& product, Range groups, KvAhead& ahead) const;
  void write_gated(const Tiles& gates, const Tiles& ups, Range groups, float* out,
                   KvAhead& ahead) const;
  void write_gated_quantised(const Tiles& gates, const Tiles& ups, Range blocks,
                             const QuantisedRows& out, KvAhead& ahead) const;
  // Up to 12 queries of a span that meet one KV head.
  struct Piece {
    const RowSpan* span = nullptr;
    std::uint32_t first = 0, queries = 0, kv_head = 0;
    std::uint32_t tiles = 0;  // of its positions
  };
  class Dealing;
  template <class Job>
  static void each_piece(std::span<const RowSpan> spans, const AttentionShape& shape,
                         const Job& job);
  AttentionJob job_of(const Piece& piece, std::uint32_t layer, float scale, const float* q,
                      float* out) const;
  void quantise_heads(const Piece& piece, const float* attended, const QuantisedRows& to) const;
  std::uint64_t attention_work(std::span<const RowSpan> spans) const;
  void store_position(std::uint32_t layer, const float* cos_sin, const RowSpan& span,
                      std::uint32_t index, float* q, float* k, const float* v) const;

  const Kernels& kernels_;
  const std::uint32_t max_rows_;
  const std::shared_ptr<ThreadPool> pool_;
  PagedKv kv_;
  std::vector<KvAhead> ahead_;         // by thread
  Memory normed_, quantised_;          // of a step, where threads share them
  std::vector<Memory> own_normed_;     // of a panel, by thread
  std::vector<Memory> own_quantised_;  // of a step, by thread
  Memory tiles_;                       // of pieces that threads share, by the first of these
  std::vector<Memory> buffers_;
};

// The same over a pool that its caller also uses, between the backend's ops.
Result<std::unique_ptr<Backend>> make_backend(const std::string& isa,
                                              std::shared_ptr<ThreadPool> pool,
                                              std::uint32_t max_rows);

}  // namespace aorta::engine::cpu
