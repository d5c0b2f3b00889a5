// Whether KV that the store has is copied or computed again: whichever takes less time, as
// measured.
#include <gtest/gtest.h>

#include "engine/batch/copy_cost.hpp"
#include "tests/engine/batch/batch_helpers.hpp"
#include "tests/engine/batch/checked_runner.hpp"
#include "tests/engine/batch/memory_store.hpp"
#include "tests/engine/batch/timed_runner.hpp"

namespace aorta::engine {
namespace {

// Of a machine that computes a block in about 5 ms, and one more for each 1,000 positions before
// it.
double cost(std::span<const RunnerRow> rows) {
  double us = 1000;
  for (const RunnerRow& row : rows) us += row.count * (300 + 0.06 * (row.first + row.count / 2));
  return us;
}

struct Outcome {
  Answers answers;
  std::uint32_t preempted = 0, prefilled = 0;
};

class CopyOrCompute : public testing::Test {
 protected:
  explicit CopyOrCompute(BatchLimits limits = {.slots = 4, .blocks = 400, .draft_tokens = 0})
      : limits_(limits) {}

  // Another executor of the host had the prompt.
  void fill_store(std::uint64_t number, std::uint32_t prompt) {
    store_->load_us = 0;
    const auto other = make_stepper(make_fake_runner({}), {.blocks = 600}, store_);
    ASSERT_TRUE(other->start(make_sequence(number, prompt, 1)));
    while (!other->idle()) other->step();
    store_->saves = store_->loads = 0;
  }
  Outcome run(Stepper& engine, const std::vector<Sequence>& sequences) {
    Outcome outcome;
    for (const Sequence& s : sequences) EXPECT_TRUE(engine.start(s));
    for (int steps = 0; !engine.idle() && steps < 5000; ++steps) {
      const StepReport report = engine.step();
      EXPECT_TRUE(collect(report, outcome.answers));
      outcome.preempted += report.preempted;
      outcome.prefilled += report.prefill_tokens;
    }
    for (const Sequence& s : sequences) EXPECT_EQ(outcome.answers[s.key], undisturbed({}, s));
    return outcome;
  }
  std::unique_ptr<Stepper> open() {
    return make_stepper(std::make_unique<TimedRunner>(
                            std::make_unique<CheckedRunner>(FakeOptions{}, limits_), cost),
                        limits_, store_);
  }

  BatchLimits limits_;
  std::shared_ptr<MemoryStore> store_ = std::make_shared<MemoryStore>();
};

TEST_F(CopyOrCompute, AFastStoreIsFetchedFromAndASlowOneIsNot) {
  Answers fast, slow;
  for (const std::uint32_t load_us : {100u, 60000u}) {
    store_ = std::make_shared<MemoryStore>();
    fill_store(1, 2000);
    store_->load_us = load_us;
    const auto engine = open();
    run(*engine, {make_sequence(4, 300, 5)});  // it knows by now what computing takes
    const Outcome outcome = run(*engine, {make_sequence(1, 2000, 30)});
    (load_us == 100 ? fast : slow) = outcome.answers;
    if (load_us == 100) {
      EXPECT_EQ(store_->loads, 1999u / 16);
      EXPECT_LE(outcome.prefilled, 16u);
    } else {
      EXPECT_EQ(store_->loads, 1u) << "one, to see";
      EXPECT_EQ(outcome.prefilled, 2000u - 16);
    }
  }
  EXPECT_EQ(fast, slow);
}

TEST_F(CopyOrCompute, BeforeAnythingIsKnownASlowStoreIsTriedOnce) {
  fill_store(1, 2000);
  store_->load_us = 60000;
  run(*open(), {make_sequence(1, 2000, 5)});
  EXPECT_EQ(store_->loads, 1u);
}

// What attention makes dear is fetched, what is cheap is not.
TEST_F(CopyOrCompute, ALongPromptsEndIsFetchedWhereItsBeginningIsNot) {
  fill_store(1, 4000);
  store_->load_us = 7000;
  const auto engine = open();
  run(*engine, {make_sequence(4, 3000, 5)});
  const Outcome outcome = run(*engine, {make_sequence(1, 4000, 5)});
  EXPECT_GT(store_->loads, 40u);
  EXPECT_GT(outcome.prefilled, 800u);
}

TEST_F(CopyOrCompute, AStoreThatBecameFastIsFoundOut) {
  fill_store(1, 2000);
  store_->load_us = 20000;
  const auto engine = open();
  run(*engine, {make_sequence(1, 2000, 20)});
  EXPECT_LT(store_->loads, 5u);
  store_->load_us = 50;
  run(*engine, {make_sequence(6, 50, 1500)});
  store_->loads = 0;
  fill_store(8, 2000);
  store_->load_us = 50;
  run(*engine, {make_sequence(8, 2000, 3)});
  EXPECT_GT(store_->loads, 100u);
}

TEST_F(CopyOrCompute, FetchesBesideAnswersKeepToTheStepsTime) {
  fill_store(1, 4000);
  store_->load_us = 200;
  const auto engine = open();
  run(*engine, {make_sequence(4, 300, 5)});
  ASSERT_TRUE(engine->start(make_sequence(2, 50, 400)));
  for (int step = 0; step < 20; ++step) engine->step();
  ASSERT_TRUE(engine->start(make_sequence(1, 4000, 2)));
  std::uint32_t steps = 0;
  for (; store_->loads < 249; ++steps) {
    ASSERT_LT(steps, 300u);
    const std::uint32_t before = store_->loads;
    EXPECT_EQ(engine->step().decode_tokens, 1u);
    EXPECT_LE(store_->loads - before, 7u) << "a step takes 1.3 ms, and may take 2.7";
  }
  EXPECT_LT(steps, 125u);
}

class SentBack : public CopyOrCompute {
 protected:
  SentBack() : CopyOrCompute({.slots = 3, .step_tokens = 64, .blocks = 30, .draft_tokens = 0}) {}

  // Two that do not fit beside each other when they have grown.
  std::uint32_t preempted(std::uint32_t load_us) {
    store_ = std::make_shared<MemoryStore>();
    const auto engine = open();
    store_->load_us = load_us;
    // So much is known before: what loading takes, and computing.
    const Sequence before = make_sequence(30, 100, 3);
    run(*engine, {before});
    run(*engine, {make_sequence(31, 400, 3)});  // nothing of it stays in the pool
    run(*engine, {before});
    store_->saves = store_->loads = 0;
    const Outcome outcome = run(*engine, {make_sequence(2, 150, 200), make_sequence(4, 170, 200)});
    answers_.push_back(outcome.answers);
    return outcome.preempted;
  }
  std::vector<Answers> answers_;
};

TEST_F(SentBack, SavesAndFetchesOnlyWhatIsWorthIt) {
  EXPECT_GT(preempted(100), 0u);
  EXPECT_GT(store_->saves, 20u);
  EXPECT_GT(store_->loads, 0u) << "others took its blocks meanwhile";
  EXPECT_GT(preempted(60000), 0u);
  EXPECT_EQ(store_->saves, 0u);
  EXPECT_EQ(store_->loads, 0u);
  EXPECT_EQ(answers_[0], answers_[1]);
}

TEST(CopyCost, FollowsTheStoreButNotAHiccup) {
  CopyCost cost;
  EXPECT_FALSE(cost.known());
  cost.measured(0);
  EXPECT_FALSE(cost.known()) << "it was not measured";
  for (int i = 0; i < 10; ++i) cost.measured(100);
  cost.measured(100000);
  EXPECT_LT(cost.us(), 200);
  for (int i = 0; i < 40; ++i) cost.measured(1000);
  EXPECT_NEAR(cost.us(), 1000, 20);
  for (int i = 0; i < 2000; ++i) cost.fade();
  EXPECT_LT(cost.us(), 100);
}

}  // namespace
}  // namespace aorta::engine
