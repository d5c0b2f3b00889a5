// The Stepper of the product: a Batcher decides, a Runner computes.
#include <utility>

#include "engine/batch/batcher.hpp"

namespace aorta::engine {
namespace {

class BatchStepper final : public Stepper {
 public:
  BatchStepper(std::unique_ptr<Runner> runner, const BatchLimits& limits,
               std::shared_ptr<BlockStore> store)
      : runner_(std::move(runner)),
        store_(std::move(store)),
        info_(within(runner_->info(), limits)),
        batcher_(info_, limits) {}

  const EngineInfo& info() const override { return info_; }
  EngineLoad load() const override { return batcher_.load(); }
  Result<void> start(Sequence sequence) override { return batcher_.start(std::move(sequence)); }
  bool stop(const SequenceKey& key) override { return batcher_.stop(key); }
  bool idle() const override { return batcher_.idle(); }

  StepReport step() override {
    const std::span<const RunnerRow> rows = batcher_.plan();
    std::size_t samples = 0;
    for (const RunnerRow& row : rows) samples += row.samples;
    chosen_.assign(samples, Choice{});
    if (!rows.empty()) runner_->run(rows, chosen_);
    return batcher_.apply(chosen_);
  }

 private:
  static EngineInfo within(EngineInfo info, const BatchLimits& limits) {
    info.context_tokens = context_within(info.context_tokens, limits.blocks);
    return info;
  }

  std::unique_ptr<Runner> runner_;
  std::shared_ptr<BlockStore> store_;
  EngineInfo info_;
  Batcher batcher_;
  std::vector<Choice> chosen_;
};

}  // namespace

std::unique_ptr<Stepper> make_stepper(std::unique_ptr<Runner> runner, const BatchLimits& limits,
                                      std::shared_ptr<BlockStore> store) {
  return std::make_unique<BatchStepper>(std::move(runner), limits, std::move(store));
}

}  // namespace aorta::engine
