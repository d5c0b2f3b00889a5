#pragma once
// The host's store of KV blocks for an engine that does not wait for it: none at first, then the
// one that the loop has opened, or another after it.
#include <memory>
#include <mutex>
#include <utility>

#include "engine/engine.hpp"

namespace aorta::executor {

class LateStore final : public engine::BlockStore {
 public:
  void use(std::shared_ptr<engine::BlockStore> store) {  // on any thread; null: none
    const std::lock_guard lock(mutex_);
    std::swap(store_, store);  // the old one goes when nobody reads it, and not under the lock
  }
  bool may_have(const engine::BlockName& name) const override {
    const auto store = current();
    return store != nullptr && store->may_have(name);
  }
  bool load(const engine::BlockName& name, std::span<std::byte> into) override {
    const auto store = current();
    const bool found = store != nullptr && store->load(name, into);
    if (found) last_load_us_ = store->last_load_us();
    return found;
  }
  std::uint32_t last_load_us() const override { return last_load_us_; }
  void save(const engine::BlockName& name, std::span<const std::byte> block) override {
    const auto store = current();
    if (store == nullptr) return;
    store->save(name, block);
    last_save_us_ = store->last_save_us();
  }
  std::uint32_t last_save_us() const override { return last_save_us_; }

 private:
  std::shared_ptr<engine::BlockStore> current() const {
    const std::lock_guard lock(mutex_);
    return store_;
  }
  mutable std::mutex mutex_;
  std::shared_ptr<engine::BlockStore> store_;
  std::uint32_t last_load_us_ = 0, last_save_us_ = 0;  // the engine's thread's
};

}  // namespace aorta::executor
