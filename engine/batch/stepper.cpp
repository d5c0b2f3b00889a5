// The Stepper of the product: a Batcher decides, a Runner computes.
#include <utility>

#include "engine/batch/batcher.hpp"

namespace aorta::engine {
namespace {

class BatchStepper final : public Stepper {
 public:
  BatchStepper(std::unique_ptr<Runner> runner, const BatchLimits& limits)
      : runner_(std::move(runner)),
        info_(within(runner_->info(), limits)),
        batcher_(info_, limits) {}

  const EngineInfo& info() const override { return info_; }
  EngineLoad load() const override { return batcher_.load(); }
  Result<void> start(Sequence sequence) override { return batcher_.start(std::move(sequence)); }
  bool stop(const SequenceKey& key) override { return batcher_.stop(key); }
  bool idle() const override { return batcher_.idle(); }

  StepReport step() override {
    const std::span<const RunnerRow> rows = batcher_.plan();
    chosen_.assign(rows.size(), Choice{});
    if (!rows.empty()) runner_->run(rows, chosen_);
    return batcher_.apply(chosen_);
  }

 private:
  static EngineInfo within(EngineInfo info, const BatchLimits& limits) {
    info.context_tokens = context_within(info.context_tokens, limits.blocks);
    return info;
  }

  std::unique_ptr<Runner> runner_;
  EngineInfo info_;
  Batcher batcher_;
  std::vector<Choice> chosen_;
};

}  // namespace

std::unique_ptr<Stepper> make_stepper(std::unique_ptr<Runner> runner, const BatchLimits& limits) {
  return std::make_unique<BatchStepper>(std::move(runner), limits);
}

}  // namespace aorta::engine
