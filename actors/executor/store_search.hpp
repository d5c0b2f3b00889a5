#pragma once
// After the engine: where does this host share KV blocks? The cache is asked once both are there,
// and each new life of it again. Nobody waits for the answer.
#include <cstdint>
#include <optional>
#include <string>

#include "actors/executor/options.hpp"
#include "base/clock.hpp"
#include "mesh/service.hpp"

namespace aorta::executor {

class StoreSearch {
 public:
  explicit StoreSearch(const ExecutorOptions& options) : options_(options) {}

  void engine_ready(std::uint64_t block_bytes, TimePoint now);  // 0: it has no KV to share
  void cache_met(TimePoint now);                                // or a new life of it
  void on_reply(const mesh::PackReply& reply);
  void tick(TimePoint now, mesh::Outbox& out);
  TimePoint next_tick() const { return next_request_; }
  // The file's path, whenever the cache has told it; empty: there is none, or none any more.
  std::optional<std::string> take();

 private:
  ExecutorOptions options_;
  std::uint64_t block_bytes_ = 0;
  bool cache_met_ = false;
  TimePoint next_request_ = never;
  std::optional<std::string> found_;
};

}  // namespace aorta::executor
