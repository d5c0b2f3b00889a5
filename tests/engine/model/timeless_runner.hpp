#pragma once
// A runner that does not tell its time, so that what is guessed depends on nothing but the ids.
#include <memory>
#include <utility>

#include "engine/engine.hpp"

namespace aorta::engine {

// Several may stand over one runner, for batchers that step one after the other: each takes what
// the others left in the KV blocks for garbage.
class TimelessRunner final : public Runner {
 public:
  explicit TimelessRunner(std::shared_ptr<Runner> runner) : runner_(std::move(runner)) {}
  const EngineInfo& info() const override { return runner_->info(); }
  void run(std::span<const RunnerRow> rows, std::span<Choice> chosen) override {
    runner_->run(rows, chosen);
  }
  std::span<std::byte> kv_block(std::uint32_t block) override { return runner_->kv_block(block); }

 private:
  const std::shared_ptr<Runner> runner_;
};

}  // namespace aorta::engine
