#pragma once
// The cache on the loop; packing happens on a worker thread, one file after the other.
#include <memory>
#include <string>
#include <vector>

#include "actors/cache/cache.hpp"
#include "actors/shell.hpp"

namespace aorta::cache {

// Packs in `folder`, the longest unused first.
std::vector<PackFile> find_packs(const std::string& folder);

class CacheShell final : public actors::Shell {
 public:
  CacheShell(actors::Host& host, std::unique_ptr<Cache> core, const std::vector<std::string>& binds,
             std::string folder);
  ~CacheShell() override;  // gives up what is being packed

 protected:
  void after_turn(TimePoint now) override;

 private:
  class Worker;
  Cache& cache_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace aorta::cache
