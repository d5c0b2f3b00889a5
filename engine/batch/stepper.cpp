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
        info_(within(runner_->info(), limits)),
        batcher_(info_, limits, kv_options(std::move(store))) {
    chosen_.reserve(std::size_t{limits.step_tokens});
  }

  const EngineInfo& info() const override { return info_; }
  EngineLoad load() const override { return batcher_.load(); }
  Result<void> start(Sequence sequence) override { return batcher_.start(std::move(sequence)); }
  bool stop(const SequenceKey& key) override { return batcher_.stop(key); }
  bool idle() const override { return batcher_.idle(); }

  using Stepper::step;
  void step(StepReport& report) override {
    const std::span<const RunnerRow> rows = batcher_.plan();
    std::size_t samples = 0;
    for (const RunnerRow& row : rows) samples += row.samples;
    chosen_.assign(samples, Choice{});
    if (!rows.empty()) {
      runner_->run(rows, chosen_);
      batcher_.ran_for(runner_->last_run_us());
    }
    batcher_.apply(chosen_, report);
  }

 private:
  static EngineInfo within(EngineInfo info, const BatchLimits& limits) {
    info.context_tokens = context_within(info.context_tokens, limits.blocks);
    return info;
  }

  KvOptions kv_options(std::shared_ptr<BlockStore> store) {
    KvOptions options;
    options.store = std::move(store);
    options.memory = [runner = runner_.get()](std::uint32_t block) {
      return runner->kv_block(block);
    };
    return options;
  }

  std::unique_ptr<Runner> runner_;
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
