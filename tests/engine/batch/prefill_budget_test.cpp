// How much of a step prefill gets once the runner tells what its steps take.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/batch/batch_helpers.hpp"

namespace aorta::engine {
namespace {

// A machine that reads its weights in 4 ms, computes a position in 0.3 ms, and attends to a
// thousand positions in 0.2 ms.
class TimedRunner final : public Runner {
 public:
  explicit TimedRunner(std::uint32_t* last_us) : last_us_(last_us) {}
  const EngineInfo& info() const override { return inner_->info(); }
  void run(std::span<const RunnerRow> rows, std::span<Choice> chosen) override {
    double us = 4000;
    for (const RunnerRow& row : rows) us += row.count * (300 + 0.2 * (row.first + row.count));
    *last_us_ = static_cast<std::uint32_t>(us);
    inner_->run(rows, chosen);
  }
  std::uint32_t last_run_us() const override { return *last_us_; }
  std::span<std::byte> kv_block(std::uint32_t block) override { return inner_->kv_block(block); }

 private:
  std::unique_ptr<Runner> inner_ = make_fake_runner({});
  std::uint32_t* last_us_;
};

struct Engine {
  std::uint32_t last_us = 0;
  std::unique_ptr<Stepper> stepper = make_stepper(std::make_unique<TimedRunner>(&last_us),
                                                  {.step_tokens = 256, .draft_tokens = 0});
};

TEST(PrefillBudget, AloneItIsTheWholeStep) {
  Engine engine;
  ASSERT_TRUE(engine.stepper->start(make_sequence(2, 2000, 5)));
  EXPECT_EQ(engine.stepper->step().prefill_tokens, 256u);
  EXPECT_EQ(engine.stepper->step().prefill_tokens, 256u);
}

TEST(PrefillBudget, ALongPromptLessThanDoublesTheOthersSteps) {
  for (const std::uint64_t decoding : {1, 4, 12}) {
    Engine engine;
    for (std::uint64_t n = 1; n <= decoding; ++n) {
      ASSERT_TRUE(engine.stepper->start(make_sequence(2 * n, 30, 2000)));
    }
    for (int step = 0; step < 10; ++step) engine.stepper->step();
    const std::uint32_t without = engine.last_us;
    ASSERT_TRUE(engine.stepper->start(make_sequence(101, 3000, 2)));
    std::vector<std::uint32_t> with;
    for (bool done = false; !done;) {
      const StepReport report = engine.stepper->step();
      EXPECT_EQ(report.decode_tokens, decoding);
      with.push_back(engine.last_us);
      for (const Generated& token : report.tokens) done = done || token.key == key_of(101);
      ASSERT_LT(with.size(), 4000u);
    }
    std::sort(with.begin(), with.end());
    EXPECT_LE(with[with.size() * 99 / 100], 2 * without) << decoding;
    EXPECT_GT(with[with.size() / 2], without * 3 / 2) << "and uses what it may";
  }
}

TEST(PrefillBudget, ManyPromptsThatWaitGetMore) {
  Engine engine;
  ASSERT_TRUE(engine.stepper->start(make_sequence(2, 30, 1000)));
  for (int step = 0; step < 10; ++step) engine.stepper->step();
  ASSERT_TRUE(engine.stepper->start(make_sequence(4, 3000, 2)));
  std::uint32_t one = 0, many = 0;
  for (int step = 0; step < 10; ++step) one = engine.stepper->step().prefill_tokens;
  for (std::uint64_t n = 3; n < 16; ++n) {
    ASSERT_TRUE(engine.stepper->start(make_sequence(2 * n, 3000, 2)));
  }
  for (int step = 0; step < 10; ++step) many = engine.stepper->step().prefill_tokens;
  EXPECT_GT(many, one + 8);
}

}  // namespace
}  // namespace aorta::engine
