#pragma once
// The cache and its worker: a pack is made in virtual time, once, and stays on the disk.
#include "actors/cache/cache.hpp"
#include "tests/sim/core_process.hpp"

namespace aorta::sim {

class CacheProcess final : public CoreProcess<cache::Cache> {
 public:
  using CoreProcess::CoreProcess;

 protected:
  void after_turn() override {
    core_->take_evictions();
    if (core_->take_store_job()) {
      timeline_.after(std::chrono::milliseconds(1), [this, life = life()] {
        if (life != this->life()) return;
        turn([this](TimePoint, mesh::Outbox& out) { core_->on_store(std::string("kv"), out); });
      });
    }
    for (const cache::PackJob& job : core_->take_jobs()) {
      const auto takes = packed_ ? std::chrono::milliseconds(1) : std::chrono::milliseconds(80);
      timeline_.after(takes, [this, job, life = life()] {
        if (life != this->life()) return;
        packed_ = true;
        turn([this, job](TimePoint now, mesh::Outbox& out) {
          core_->on_packed(job.gguf_path, cache::PackFile{job.gguf_path + ".pack", 1}, now, out);
        });
      });
    }
  }

 private:
  bool packed_ = false;
};

}  // namespace aorta::sim
