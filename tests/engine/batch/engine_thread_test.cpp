#include "engine/engine_thread.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <stdexcept>

#include "tests/engine/batch/batch_helpers.hpp"

namespace aorta::engine {
namespace {

// Not std::counting_semaphore: libstdc++ 12.2's can sleep for ever (its bug 104928).
class Semaphore {
 public:
  void release(int more = 1) {
    std::lock_guard lock(mutex_);
    count_ += more;
    condition_.notify_all();
  }
  void acquire() {
    std::unique_lock lock(mutex_);
    condition_.wait(lock, [this] { return count_ > 0; });
    --count_;
  }
  bool try_acquire() {
    std::lock_guard lock(mutex_);
    return count_ > 0 && count_-- > 0;
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  int count_ = 0;
};

// The owner's side: sleeps until woken, as a loop would.
class Owner {
 public:
  Owner(std::unique_ptr<Stepper> stepper, const EngineThreadOptions& options)
      : engine(std::move(stepper), options, [this] { woken_.release(); }) {}

  EngineReport next() {
    woken_.acquire();  // one for each report
    auto report = engine.report();
    EXPECT_TRUE(report.has_value());
    return report ? std::move(*report) : EngineReport{};
  }

 private:
  Semaphore woken_;

 public:
  EngineThread engine;  // last: its thread uses the semaphore
};

std::unique_ptr<Stepper> fake(const BatchLimits& limits = {}) {
  FakeOptions options;
  options.stop_one_in = 50;
  return make_stepper(make_fake_runner(options), limits);
}

// A step ends when the test lets it.
class GatedStepper final : public Stepper {
 public:
  const EngineInfo& info() const override { return inner_->info(); }
  EngineLoad load() const override { return inner_->load(); }
  Result<void> start(Sequence s) override { return inner_->start(std::move(s)); }
  bool stop(const SequenceKey& key) override { return inner_->stop(key); }
  bool idle() const override { return inner_->idle(); }
  void step(StepReport& report) override {
    entered.release();
    may_leave.acquire();
    inner_->step(report);
  }
  Semaphore entered, may_leave;

 private:
  std::unique_ptr<Stepper> inner_ = fake();
};

class ThrowingStepper final : public Stepper {
 public:
  const EngineInfo& info() const override { return info_; }
  EngineLoad load() const override { return {}; }
  Result<void> start(Sequence) override { return {}; }
  bool stop(const SequenceKey&) override { return false; }
  bool idle() const override { return false; }
  void step(StepReport&) override { throw std::runtime_error("a kernel failed"); }

 private:
  EngineInfo info_;
};

FakeOptions fake_options() {
  FakeOptions options;
  options.stop_one_in = 50;
  return options;
}

TEST(EngineThread, StreamsAnswersAndLosesNoReport) {
  Owner owner(fake(), {.commands = 16, .reports = 2});
  EXPECT_EQ(owner.engine.idle_load().slots_total, 16u);
  EXPECT_EQ(owner.engine.info().model_id, "fake");
  for (int n = 1; n <= 8; ++n) ASSERT_TRUE(owner.engine.start(make_sequence(n, 10 * n, 60)));
  Answers answers;
  std::size_t finished = 0;
  std::uint64_t steps = 0;
  EngineReport report;
  while (finished < 8) {
    report = owner.next();
    ASSERT_LE(report.steps, steps + 1);
    steps = report.steps;
    ASSERT_TRUE(collect(report.step, answers));
    for (const Generated& token : report.step.tokens) finished += token.finish != Finish::none;
  }
  EXPECT_EQ(report.load.slots_used, 0u);
  EXPECT_EQ(report.load.blocks_used, 0u);
  for (int n = 1; n <= 8; ++n) {
    EXPECT_EQ(answers.at(key_of(n)), undisturbed(fake_options(), make_sequence(n, 10 * n, 60)));
  }
}

TEST(EngineThread, ReportsARefusedStart) {
  Owner owner(fake(), {});
  ASSERT_TRUE(owner.engine.start(make_sequence(7, 0, 1)));
  const EngineReport report = owner.next();
  ASSERT_EQ(report.refused.size(), 1u);
  EXPECT_EQ(report.refused[0].key, key_of(7));
  EXPECT_EQ(report.refused[0].error.code, ErrorCode::invalid_argument);
  EXPECT_EQ(report.steps, 0u);
}

TEST(EngineThread, AStopTakesEffectByTheEndOfTheRunningStep) {
  auto gated = std::make_unique<GatedStepper>();
  GatedStepper& gate = *gated;
  Owner owner(std::move(gated), {});
  ASSERT_TRUE(owner.engine.start(make_sequence(1, 40, 1000)));
  gate.entered.acquire();
  ASSERT_TRUE(owner.engine.stop(key_of(1)));  // in mid-step
  gate.may_leave.release();
  const EngineReport report = owner.next();
  EXPECT_EQ(report.steps, 1u);
  EXPECT_EQ(report.load.slots_used, 0u);
  EXPECT_EQ(report.load.blocks_used, 0u);
}

TEST(EngineThread, AStopWhileIdleIsAnsweredToo) {
  Owner owner(fake(), {});
  ASSERT_TRUE(owner.engine.stop(key_of(1)));
  EXPECT_EQ(owner.next().steps, 0u);
}

TEST(EngineThread, AReportThatWasGivenBackIsNotToldAgain) {
  Owner owner(fake(), {.commands = 4, .reports = 1});
  ASSERT_TRUE(owner.engine.start(make_sequence(1, 5, 1)));
  EngineReport report = owner.next();
  ASSERT_EQ(report.step.tokens.size(), 1u);
  for (int round = 0; round < 3; ++round) {
    owner.engine.give_back(std::move(report));
    ASSERT_TRUE(owner.engine.stop(key_of(1)));
    report = owner.next();
    EXPECT_TRUE(report.step.tokens.empty());
    EXPECT_TRUE(report.step.begun.empty());
    EXPECT_EQ(report.step.prefill_tokens, 0u);
  }
}

TEST(EngineThread, AFullRingOfCommandsRefuses) {
  auto gated = std::make_unique<GatedStepper>();
  GatedStepper& gate = *gated;
  Owner owner(std::move(gated), {.commands = 2, .reports = 8});
  ASSERT_TRUE(owner.engine.start(make_sequence(1, 5, 2)));
  gate.entered.acquire();
  EXPECT_TRUE(owner.engine.start(make_sequence(2, 5, 2)));
  EXPECT_TRUE(owner.engine.start(make_sequence(3, 5, 2)));
  EXPECT_FALSE(owner.engine.start(make_sequence(4, 5, 2)));
  gate.may_leave.release(100);
  EXPECT_EQ(owner.next().load.slots_used, 3u);
}

TEST(EngineThread, WaitsWhileNobodyTakesReports) {
  auto gated = std::make_unique<GatedStepper>();
  GatedStepper& gate = *gated;
  Owner owner(std::move(gated), {.commands = 4, .reports = 1});
  Sequence s = make_sequence(1, 5, 500);
  s.stop_ids.clear();
  ASSERT_TRUE(owner.engine.start(s));
  gate.may_leave.release(1000);
  gate.entered.acquire();
  gate.entered.acquire();  // the second step's report finds the ring full: no third step begins
  EXPECT_FALSE(gate.entered.try_acquire());
  Answers answers;
  for (std::uint64_t step = 1; step <= 500; ++step) {
    const EngineReport report = owner.next();
    ASSERT_EQ(report.steps, step);
    ASSERT_TRUE(collect(report.step, answers));
  }
  EXPECT_EQ(answers.at(key_of(1)).ids.size(), 500u);
}

TEST(EngineThread, EndsCleanlyInMidStepAndWithAFullRing) {
  for (int round = 0; round < 20; ++round) {
    auto gated = std::make_unique<GatedStepper>();
    GatedStepper& gate = *gated;
    auto owner = std::make_unique<Owner>(std::move(gated), EngineThreadOptions{4, 1});
    ASSERT_TRUE(owner->engine.start(make_sequence(1, 5, 500)));
    gate.entered.acquire();
    if (round % 2 == 0) {
      // Two: a second step may begin before the end is seen, but no third, for want of room.
      std::thread later([&gate] { gate.may_leave.release(2); });
      owner.reset();
      later.join();
    } else {
      gate.may_leave.release();
      gate.entered.acquire();
      gate.may_leave.release();  // the second report waits for room that never comes
      owner.reset();
    }
  }
}

TEST(EngineThreadDeathTest, AnExceptionEndsTheProcessWithSeventy) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        EngineThread engine(std::make_unique<ThrowingStepper>(), {}, [] {});
        Semaphore().acquire();
      },
      testing::ExitedWithCode(70), "a kernel failed");
}

}  // namespace
}  // namespace aorta::engine
