// How much of a step prefill gets once the runner tells what its steps take.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/engine/batch/batch_helpers.hpp"
#include "tests/engine/batch/memory_store.hpp"
#include "tests/engine/batch/timed_runner.hpp"

namespace aorta::engine {
namespace {

// A machine that reads its weights in 4 ms, computes a position in 0.3 ms, and attends to a
// thousand positions in 0.2 ms.
std::unique_ptr<Runner> even_runner(std::uint32_t* last_us) {
  const auto cost = [](std::span<const RunnerRow> rows) {
    double us = 4000;
    for (const RunnerRow& row : rows) us += row.count * (300 + 0.2 * (row.first + row.count));
    return us;
  };
  return std::make_unique<TimedRunner>(make_fake_runner({}), cost, last_us);
}

// One that reads the KV of a row once for all its positions, as far as that takes longer than
// multiplying, computes less well when there are few rows, and is not always equally fast.
std::unique_ptr<Runner> uneven_runner(std::uint32_t* last_us) {
  const auto cost = [runs = 0u](std::span<const RunnerRow> rows) mutable {
    double us = 3500, positions = 0;
    for (const RunnerRow& row : rows) {
      const double context = row.first + row.count;
      positions += row.count;
      us += std::max(0.9 * context, 0.45 * context * row.count);
    }
    us += 300 * positions + 100 * std::min(positions, 16.0);
    return us * (0.97 + 0.01 * (++runs * 7919 % 7));
  };
  return std::make_unique<TimedRunner>(make_fake_runner({}), cost, last_us);
}

struct Engine {
  std::uint32_t last_us = 0;
  std::unique_ptr<Stepper> stepper =
      make_stepper(even_runner(&last_us), {.step_tokens = 256, .draft_tokens = 0});
};

// Answers that decode on such a machine, and begin again when they end.
class Beside {
 public:
  Beside(std::uint64_t rows, std::uint32_t prompt, std::shared_ptr<MemoryStore> store = nullptr)
      : rows_(rows), prompt_(prompt), store_(std::move(store)) {
    for (std::uint64_t row = 0; row < rows; ++row) begin();
  }
  void start(Sequence s) { ASSERT_TRUE(stepper_->start(std::move(s))); }

  // A step; what it took is the time since each answer's last token.
  const StepReport& step() {
    const std::uint32_t saves = store_ ? store_->saves : 0;
    stepper_->step(report_);
    if (store_) last_us_ += (store_->saves - saves) * store_->save_us;
    for (const Generated& token : report_.tokens) {
      if (token.key.request.low < first_answer) {
        first_tokens_.emplace(token.key, us_);
        continue;
      }
      if (token.index.value > 0) gaps_.push_back(last_us_);
      if (token.finish != Finish::none) begin();
    }
    us_ += last_us_;
    return report_;
  }
  // The gap that so many of 100 are within, of those since the last time.
  double gap(std::size_t percent) {
    std::sort(gaps_.begin(), gaps_.end());
    const double gap = gaps_[gaps_.size() * percent / 100];
    gaps_.clear();
    return gap;
  }
  double gap_p99() { return gap(99); }
  bool begun(const SequenceKey& key) const { return first_tokens_.contains(key); }
  double first_token_us(const SequenceKey& key) const { return first_tokens_.at(key); }
  double us() const { return us_; }

 private:
  static constexpr std::uint64_t first_answer = 1000;
  void begin() {
    Sequence s = make_sequence(2 * (begun_ % rows_), prompt_, 60 + begun_ % 7 * 9);
    s.key = key_of(first_answer + begun_++);
    start(std::move(s));
  }

  const std::uint64_t rows_;
  const std::uint32_t prompt_;
  const std::shared_ptr<MemoryStore> store_;
  std::uint32_t last_us_ = 0;
  std::unique_ptr<Stepper> stepper_ =
      make_stepper(uneven_runner(&last_us_), {.slots = 16, .draft_tokens = 0}, store_);
  StepReport report_;
  std::uint64_t begun_ = 0;
  double us_ = 0;
  std::vector<double> gaps_;
  std::map<SequenceKey, double> first_tokens_;
};

TEST(PrefillBudget, AnEightThousandTokenPromptLeavesTheOthersTokensOnTime) {
  Beside engine(8, 1001);
  for (int step = 0; step < 500; ++step) engine.step();
  const double without = engine.gap_p99();
  engine.start(make_sequence(2, 8000, 2));
  std::uint32_t steps = 0, computed = 0;
  for (; !engine.begun(key_of(2)); ++steps) {
    ASSERT_LT(steps, 8000u);
    computed += engine.step().prefill_tokens;
  }
  EXPECT_LE(engine.gap_p99(), 2 * without);
  EXPECT_LT(steps, 2500u) << "it gets on: " << computed << " positions";
}

TEST(PrefillBudget, NorDoesTheFirstOneThatAMachineEverSeesDelayThem) {
  Beside engine(4, 400);
  engine.step();
  engine.start(make_sequence(2, 3000, 2));
  while (!engine.begun(key_of(2))) engine.step();
  const double with = engine.gap_p99();
  for (int step = 0; step < 300; ++step) engine.step();
  engine.gap_p99();
  for (int step = 0; step < 300; ++step) engine.step();
  EXPECT_LE(with, 2 * engine.gap_p99());
}

TEST(PrefillBudget, WhatIsSavedOfAPromptDelaysNobodyEither) {
  const auto store = std::make_shared<MemoryStore>();
  store->save_us = 4000;
  Beside engine(6, 401, store);
  for (int step = 0; step < 300; ++step) engine.step();
  engine.gap_p99();
  for (int step = 0; step < 300; ++step) engine.step();
  const double without = engine.gap(50);  // without a save: most steps fill no block
  engine.start(make_sequence(302, 2500, 2));
  const std::uint32_t saves = store->saves;
  while (!engine.begun(key_of(302))) engine.step();
  EXPECT_GT(store->saves - saves, 2500u / 16);
  EXPECT_LE(engine.gap(75), 1.8 * without) << "and with one";
}

// Clients who ask again as soon as they are answered, all of them at once in the beginning.
TEST(PrefillBudget, WhoAsksShortlyWaitsForAFewStepsAndNotForTheAnswersOfOthers) {
  constexpr std::uint64_t clients = 32, requests = 6 * clients;
  constexpr std::uint32_t answer = 128;
  std::uint32_t last_us = 0;
  const auto stepper = make_stepper(uneven_runner(&last_us),
                                    {.slots = clients, .prefix_cache = false, .draft_tokens = 0});
  double us = 0;
  std::uint64_t asked = 0;
  std::map<SequenceKey, double> asked_at;
  std::vector<double> first_tokens, gaps;
  const auto ask = [&] {
    Sequence s = make_sequence(2 * ++asked, 99, answer);
    asked_at.emplace(s.key, us);
    ASSERT_TRUE(stepper->start(std::move(s)));
  };
  while (asked < clients) ask();
  while (!stepper->idle()) {
    const StepReport report = stepper->step();
    us += last_us;
    for (const Generated& token : report.tokens) {
      if (token.index.value > 0) {
        gaps.push_back(last_us);
      } else if (token.key.request.low > 2 * clients) {
        first_tokens.push_back(us - asked_at.at(token.key));
      }
      if (token.finish != Finish::none && asked < requests) ask();
    }
  }
  const auto at = [](std::vector<double>& of, double part) {
    std::sort(of.begin(), of.end());
    return of[static_cast<std::size_t>(part * static_cast<double>(of.size() - 1))];
  };
  const double step = at(gaps, 0.25);
  EXPECT_LE(at(first_tokens, 0.5), 6 * step);
  EXPECT_LE(at(first_tokens, 0.9), 10 * step);
  EXPECT_LE(at(gaps, 0.99), 4 * step);
}

TEST(PrefillBudget, AShortPromptDoesNotWaitForALongOne) {
  Beside engine(4, 401);
  for (int step = 0; step < 200; ++step) engine.step();
  const auto first_token_after = [&](std::uint64_t number) {
    const double before = engine.us();
    engine.start(make_sequence(number, 100, 2));
    while (!engine.begun(key_of(number))) engine.step();
    return engine.first_token_us(key_of(number)) - before;
  };
  const double alone = first_token_after(101);
  engine.start(make_sequence(2, 8000, 2));
  std::uint32_t computed = 0;
  while (computed < 7000) computed += engine.step().prefill_tokens;
  ASSERT_FALSE(engine.begun(key_of(2)));
  EXPECT_LE(first_token_after(103), 3 * alone) << "half of the time is its own";
}

TEST(PrefillBudget, ALongPromptGetsOnBesideShortOnesThatNeverEnd) {
  Beside engine(2, 401);
  for (int step = 0; step < 200; ++step) engine.step();
  engine.start(make_sequence(2, 4000, 2));
  std::uint64_t shorts = 0;
  for (int step = 0; !engine.begun(key_of(2)); ++step) {
    ASSERT_LT(step, 8000);
    // Two wait at any time.
    while (shorts < 2 || engine.begun(key_of(100 + shorts - 2))) {
      engine.start(make_sequence(100 + shorts, 150, 1));
      ++shorts;
    }
    engine.step();
  }
  EXPECT_GT(shorts, 20u);
}

TEST(PrefillBudget, AloneItIsTheWholeStep) {
  Engine engine;
  ASSERT_TRUE(engine.stepper->start(make_sequence(2, 2000, 5)));
  EXPECT_EQ(engine.stepper->step().prefill_tokens, 256u);
  const std::uint32_t first_us = engine.last_us;
  EXPECT_GT(engine.stepper->step().prefill_tokens, 128u);
  while (!engine.stepper->idle()) {
    engine.stepper->step();
    EXPECT_LE(engine.last_us, first_us * 5 / 4) << "whoever comes finds its end as soon";
  }
}

TEST(PrefillBudget, ALongPromptLessThanDoublesTheOthersSteps) {
  for (const std::uint64_t decoding : {1, 4, 12}) {
    Engine engine;
    for (std::uint64_t n = 1; n <= decoding; ++n) {
      ASSERT_TRUE(engine.stepper->start(make_sequence(2 * n, 30, 2000)));
    }
    for (int step = 0; step < 10; ++step) engine.stepper->step();
    ASSERT_TRUE(engine.stepper->start(make_sequence(101, 3000, 1)));
    std::vector<std::uint32_t> with;
    for (bool done = false; !done;) {
      const StepReport report = engine.stepper->step();
      EXPECT_EQ(report.decode_tokens, decoding);
      with.push_back(engine.last_us);
      for (const Generated& token : report.tokens) done = done || token.key == key_of(101);
      ASSERT_LT(with.size(), 4000u);
    }
    engine.stepper->step();
    const std::uint32_t without = engine.last_us;  // now, for their contexts grew meanwhile
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
