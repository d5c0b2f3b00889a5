#pragma once
// A runner whose steps take what a test says that such a machine takes.
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "engine/engine.hpp"

namespace aorta::engine {

class TimedRunner final : public Runner {
 public:
  using Cost = std::function<double(std::span<const RunnerRow>)>;  // us

  // `last_us`: where to tell what the last step took, too.
  TimedRunner(std::unique_ptr<Runner> inner, Cost cost, std::uint32_t* last_us = nullptr)
      : inner_(std::move(inner)), cost_(std::move(cost)), told_(last_us) {}

  const EngineInfo& info() const override { return inner_->info(); }
  void run(std::span<const RunnerRow> rows, std::span<Choice> chosen) override {
    last_us_ = static_cast<std::uint32_t>(cost_(rows));
    if (told_ != nullptr) *told_ = last_us_;
    inner_->run(rows, chosen);
  }
  std::uint32_t last_run_us() const override { return last_us_; }
  std::span<std::byte> kv_block(std::uint32_t block) override { return inner_->kv_block(block); }

 private:
  const std::unique_ptr<Runner> inner_;
  const Cost cost_;
  std::uint32_t* const told_;
  std::uint32_t last_us_ = 0;
};

}  // namespace aorta::engine
