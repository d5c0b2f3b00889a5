#include "actors/executor/store_search.hpp"

#include <utility>

#include "actors/executor/pack_search.hpp"

namespace aorta::executor {

void StoreSearch::engine_ready(std::uint64_t block_bytes, TimePoint now) {
  block_bytes_ = block_bytes;
  if (cache_met_) cache_met(now);
}

void StoreSearch::cache_met(TimePoint now) {
  cache_met_ = true;
  if (block_bytes_ > 0) next_request_ = now;
}

// Those about a pack name its file.
void StoreSearch::on_reply(const mesh::PackReply& reply) {
  if (next_request_ == never || !reply.gguf_path.empty()) return;
  next_request_ = never;
  found_ = reply.kv_store_path;
}

void StoreSearch::tick(TimePoint now, mesh::Outbox& out) {
  if (now < next_request_) return;
  next_request_ = now + options_.pack_request_every;
  out.send({cache_name, {}}, mesh::PackRequest{"", block_bytes_});
}

std::optional<std::string> StoreSearch::take() { return std::exchange(found_, std::nullopt); }

}  // namespace aorta::executor
