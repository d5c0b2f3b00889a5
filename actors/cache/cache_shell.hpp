#pragma once
// The cache on the loop; packing happens on a worker thread, one file after the other. The store of
// KV blocks is a file that others map: made, counted and removed here.
#include <memory>
#include <string>
#include <vector>

#include "actors/cache/cache.hpp"
#include "actors/shell.hpp"
#include "engine/kv/block_store.hpp"

namespace aorta::cache {

// Packs in `folder`, the longest unused first.
std::vector<PackFile> find_packs(const std::string& folder);

struct CacheFiles {
  std::string pack_folder;
  std::string store_path;
  std::uint64_t store_bytes = 0;  // at most; 0: there is no store
};

class CacheShell final : public actors::Shell {
 public:
  CacheShell(actors::Host& host, std::unique_ptr<Cache> core, const std::vector<std::string>& binds,
             CacheFiles files);
  ~CacheShell() override;  // gives up what is being packed

 protected:
  void after_turn(TimePoint now) override;
  void leave(const mesh::Outbox::Leave& leave) override;

 private:
  void make_store(const StoreJob& job);
  void look_after_store(TimePoint now);
  void remove_store();

  class Worker;
  Cache& cache_;
  CacheFiles files_;
  std::unique_ptr<engine::SharedBlockStore> store_;  // null: not asked for, or it cannot be made
  TimePoint next_look_{};
  std::unique_ptr<Worker> worker_;
};

}  // namespace aorta::cache
