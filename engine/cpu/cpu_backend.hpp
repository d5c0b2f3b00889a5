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
  void matmul(const Input& input, std::span<const Product> products) override;
  void gated_matmul(const Input& input, const Weight& gate, const Weight& up, float* out) override;
  void rope_and_store(std::uint32_t layer, const float* cos_sin, std::span<const RowSpan> spans,
                      float* q, float* k, const float* v) override;
  void attention(std::uint32_t layer, float scale, std::span<const RowSpan> spans, const float* q,
                 float* out) override;
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

  // An input as the products read it: int8 in quantised_, and as floats [rows][columns].
  struct Prepared {
    const float* x = nullptr;
  };
  class Tiles;
  Prepared prepare(const Input& input, std::uint32_t columns, bool floats, bool quantised);
  float* scratch(std::uint32_t rows, std::uint32_t columns);
  void write(const Prepared& input, const Product& product, Range groups, KvAhead& ahead) const;
  std::uint64_t attention_work(std::span<const RowSpan> spans) const;
  void store_position(std::uint32_t layer, const float* cos_sin, const RowSpan& span,
                      std::uint32_t index, float* q, float* k, const float* v) const;

  const Kernels& kernels_;
  const std::uint32_t max_rows_;
  const std::shared_ptr<ThreadPool> pool_;
  PagedKv kv_;
  std::vector<KvAhead> ahead_;  // by thread
  QuantisedRows quantised_;
  Memory scratch_;  // normed rows
  std::vector<Memory> buffers_;
};

// The same over a pool that its caller also uses, between the backend's ops.
Result<std::unique_ptr<Backend>> make_backend(const std::string& isa,
                                              std::shared_ptr<ThreadPool> pool,
                                              std::uint32_t max_rows);

}  // namespace aorta::engine::cpu
