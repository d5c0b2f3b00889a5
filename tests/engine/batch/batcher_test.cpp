#include "engine/batch/batcher.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/engine/batch/batch_helpers.hpp"
#include "tests/engine/batch/checked_runner.hpp"
#include "tests/engine/batch/memory_store.hpp"
#include "tests/engine/batch/test_seed.hpp"

namespace aorta::engine {
namespace {

FakeOptions stopping() {
  FakeOptions options;
  options.context_tokens = 512;
  options.stop_one_in = 40;
  return options;
}

std::unique_ptr<Stepper> stepper(const FakeOptions& options, const BatchLimits& limits) {
  return make_stepper(std::make_unique<CheckedRunner>(options, limits), limits);
}

// Steps until idle; every index must come once and in order, and nothing may be left behind.
Answers run_out(Stepper& engine, StepReport* totals = nullptr) {
  Answers answers;
  for (int steps = 0; !engine.idle(); ++steps) {
    const StepReport report = engine.step();
    EXPECT_TRUE(collect(report, answers));
    if (totals != nullptr) {
      totals->prefill_tokens += report.prefill_tokens;
      totals->decode_tokens += report.decode_tokens;
      totals->preempted += report.preempted;
    }
    if (steps > 100000 || testing::Test::HasFailure()) {
      ADD_FAILURE() << "stopped after step " << steps;
      break;
    }
  }
  EXPECT_EQ(engine.load().blocks_used, 0u);
  EXPECT_EQ(engine.load().slots_used, 0u);
  return answers;
}

TEST(Batcher, OneSequenceAnswersAsTheRuleSays) {
  const auto engine = stepper(stopping(), {});
  const Sequence s = make_sequence(1, 20, 60);
  ASSERT_TRUE(engine->start(s));
  StepReport totals;
  const Answers answers = run_out(*engine, &totals);
  const Answer expected = undisturbed(stopping(), s);
  EXPECT_EQ(answers.at(s.key), expected);
  EXPECT_EQ(totals.prefill_tokens, 20u);
  EXPECT_EQ(totals.decode_tokens, expected.ids.size() - 1);
}

TEST(Batcher, StreamsAreTheSameWhateverTheBatchTheChunksAndTheBlocks) {
  const BatchLimits shapes[] = {{16, 256, 2048}, {1, 1, 32}, {16, 16, 40}, {3, 7, 33}, {8, 32, 36}};
  for (const BatchLimits& limits : shapes) {
    const auto engine = stepper(stopping(), limits);
    Answers answers;
    std::uint64_t next = 0;
    while (next < 40 || !engine->idle()) {
      while (next < 40 &&
             engine->start(make_sequence(next, 1 + next * 13 % 150, 1 + next * 7 % 90))) {
        ++next;
      }
      ASSERT_TRUE(collect(engine->step(), answers));
      ASSERT_FALSE(HasFailure());
    }
    for (std::uint64_t n = 0; n < 40; ++n) {
      const Sequence s = make_sequence(n, 1 + n * 13 % 150, 1 + n * 7 % 90);
      EXPECT_EQ(answers.at(s.key), undisturbed(stopping(), s)) << n;
    }
    EXPECT_EQ(engine->load().blocks_used, 0u);
  }
}

TEST(Batcher, ResumeAtEveryIndexContinuesTheSameStream) {
  for (std::uint64_t n : {2, 3, 4}) {
    const Sequence whole = make_sequence(n, 17, 50);
    const Answer expected = undisturbed(stopping(), whole);
    for (std::uint32_t cut = 0; cut < expected.ids.size(); ++cut) {
      Sequence rest = whole;
      rest.key = key_of(n, 2);
      rest.ids.insert(rest.ids.end(), expected.ids.begin(), expected.ids.begin() + cut);
      const auto engine = stepper(stopping(), {4, 9, 64});
      ASSERT_TRUE(engine->start(rest));
      Answers answers;
      while (!engine->idle()) {
        ASSERT_TRUE(collect(engine->step(), answers, {{rest.key, cut}}));
      }
      const Answer& answer = answers.at(rest.key);
      ASSERT_EQ(answer.finish, expected.finish);
      ASSERT_TRUE(std::equal(answer.ids.begin(), answer.ids.end(), expected.ids.begin() + cut,
                             expected.ids.end()));
    }
  }
}

TEST(Batcher, EndsByStopLengthAndContext) {
  FakeOptions options = stopping();
  options.stop_one_in = 1;  // stops at once, unless it may not
  auto engine = stepper(options, {});
  Sequence s = make_sequence(2, 5, 20);
  ASSERT_TRUE(engine->start(s));
  EXPECT_EQ(run_out(*engine).at(s.key), (Answer{{0}, Finish::stop, {std::nullopt}}));

  s.min_tokens = 6;
  ASSERT_TRUE(engine->start(s));
  Answer answer = run_out(*engine).at(s.key);
  EXPECT_EQ(answer.ids.size(), 7u);
  EXPECT_EQ(answer.ids.back(), 0);
  EXPECT_EQ(answer.finish, Finish::stop);

  s.min_tokens = 0;
  s.stop_ids.clear();  // ignores the end
  ASSERT_TRUE(engine->start(s));
  answer = run_out(*engine).at(s.key);
  EXPECT_EQ(answer.ids.size(), 20u);
  EXPECT_EQ(answer.finish, Finish::length);

  s.max_tokens = 100000;
  ASSERT_TRUE(engine->start(s));
  answer = run_out(*engine).at(s.key);
  EXPECT_EQ(answer.ids.size(), options.context_tokens - 5);
  EXPECT_EQ(answer.finish, Finish::length);
}

TEST(Batcher, APoolBelowTheContextIsTheContext) {
  const auto engine = stepper(stopping(), {4, 64, 4});
  EXPECT_EQ(engine->info().context_tokens, 64u);
  EXPECT_FALSE(engine->start(make_sequence(1, 64, 1)));
  ASSERT_TRUE(engine->start(make_sequence(1, 63, 9)));
  EXPECT_EQ(run_out(*engine).at(key_of(1)).ids.size(), 1u);
}

TEST(Batcher, RefusesWithASentence) {
  const auto engine = stepper(stopping(), {2, 64, 64});
  const auto expect = [&](Sequence s, ErrorCode code, const std::string& part) {
    const auto result = engine->start(std::move(s));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code);
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
  };
  expect(make_sequence(1, 0, 5), ErrorCode::invalid_argument, "empty");
  expect(make_sequence(1, 512, 5), ErrorCode::invalid_argument, "context of 512");
  expect(make_sequence(1, 5, 0), ErrorCode::invalid_argument, "max_tokens");
  Sequence s = make_sequence(1, 5, 5);
  s.ids[3] = 256;
  expect(s, ErrorCode::invalid_argument, "256 is outside");
  s.ids[3] = -1;
  expect(s, ErrorCode::invalid_argument, "-1 is outside");
  s = make_sequence(1, 5, 5);
  s.prompt_tokens = 6;
  expect(s, ErrorCode::invalid_argument, "only 5 ids");
  s = make_sequence(1, 5, 5);
  s.ids.resize(10, 1);
  expect(s, ErrorCode::invalid_argument, "nothing is left");
  s = make_sequence(1, 5, 5);
  s.top_logprobs = 21;
  expect(s, ErrorCode::invalid_argument, "at most 20");

  ASSERT_TRUE(engine->start(make_sequence(1, 5, 5)));
  expect(make_sequence(1, 5, 5), ErrorCode::conflict, "running");
  ASSERT_TRUE(engine->start(make_sequence(2, 5, 5)));
  expect(make_sequence(3, 5, 5), ErrorCode::resource_exhausted, "slots");
  EXPECT_EQ(engine->load().slots_used, 2u);
}

TEST(Batcher, HasNoMoreSlotsThanAStepHasPositions) {
  EXPECT_EQ(stepper(stopping(), {16, 5, 64})->load().slots_total, 5u);
}

TEST(Batcher, StopFreesAtOnceAndLeavesTheOthersAlone) {
  const auto engine = stepper(stopping(), {4, 64, 64});
  for (int n = 1; n <= 3; ++n) ASSERT_TRUE(engine->start(make_sequence(n, 40, 30)));
  Answers answers;
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(collect(engine->step(), answers));
  const std::uint32_t used = engine->load().blocks_used;
  EXPECT_TRUE(engine->stop(key_of(2)));
  EXPECT_FALSE(engine->stop(key_of(2)));
  EXPECT_FALSE(engine->stop(key_of(3, 7)));
  EXPECT_EQ(engine->load().slots_used, 2u);
  EXPECT_LT(engine->load().blocks_used, used);
  while (!engine->idle()) ASSERT_TRUE(collect(engine->step(), answers));
  for (int n : {1, 3}) {
    EXPECT_EQ(answers.at(key_of(n)), undisturbed(stopping(), make_sequence(n, 40, 30)));
  }
}

TEST(Batcher, ALongPromptNeverBlocksDecodeNorStarvesAShortOne) {
  FakeOptions options;  // never stops by itself
  const BatchLimits limits{8, 32, 1024};
  const auto engine = stepper(options, limits);
  ASSERT_TRUE(engine->start(make_sequence(1, 4, 1000)));
  engine->step();
  ASSERT_TRUE(engine->start(make_sequence(2, 4000, 10)));
  ASSERT_TRUE(engine->start(make_sequence(3, 20, 10)));
  int first_token_of_short = 0;
  for (int i = 1; first_token_of_short == 0 && i < 10; ++i) {
    const StepReport report = engine->step();
    EXPECT_EQ(report.decode_tokens, 1u);
    EXPECT_EQ(report.tokens.front().key, key_of(1));
    EXPECT_EQ(report.prefill_tokens, limits.step_tokens - 1);  // nothing of the budget lies idle
    if (report.tokens.back().key == key_of(3)) first_token_of_short = i;
  }
  EXPECT_EQ(first_token_of_short, 2);  // 15 a step
}

TEST(Batcher, ALongPromptGetsOnBesideEndlessShortOnes) {
  const auto engine = stepper(FakeOptions{}, {8, 32, 1024});
  ASSERT_TRUE(engine->start(make_sequence(0, 1000, 1)));
  std::uint64_t next = 1;
  int steps = 0;
  for (bool done = false; !done; ++steps) {
    ASSERT_LT(steps, 1000 / 12);
    while (engine->start(make_sequence(next, 60, 1))) ++next;
    for (const Generated& token : engine->step().tokens) done = done || token.key == key_of(0);
  }
}

TEST(Batcher, WantOfBlocksSendsTheYoungestBack) {
  FakeOptions options;
  const auto engine = stepper(options, {4, 64, 6});  // 96 positions
  ASSERT_TRUE(engine->start(make_sequence(1, 30, 60)));
  ASSERT_TRUE(engine->start(make_sequence(2, 30, 60)));
  ASSERT_TRUE(engine->start(make_sequence(3, 60, 10)));
  Answers answers;
  std::uint32_t preempted = 0, prefilled = 0;
  while (engine->load().slots_used == 3) {
    const StepReport report = engine->step();
    ASSERT_TRUE(collect(report, answers));
    preempted += report.preempted;
    prefilled += report.prefill_tokens;
    ASSERT_GE(engine->load().waiting, 1u);  // the third never fits beside the others
  }
  EXPECT_EQ(preempted, 1u);  // once, and not again and again
  EXPECT_EQ(answers.at(key_of(1)).ids.size(), 60u);
  EXPECT_FALSE(answers.contains(key_of(3)));
  EXPECT_EQ(prefilled, 30u + 30u);
  const std::uint32_t known = 30 + static_cast<std::uint32_t>(answers.at(key_of(2)).ids.size());
  const StepReport again = engine->step();
  EXPECT_EQ(again.prefill_tokens, known);  // all computed again in one go
  ASSERT_TRUE(collect(again, answers));
  while (!engine->idle()) ASSERT_TRUE(collect(engine->step(), answers));
  for (int n : {1, 2})
    EXPECT_EQ(answers.at(key_of(n)), undisturbed(options, make_sequence(n, 30, 60)));
  EXPECT_EQ(answers.at(key_of(3)), undisturbed(options, make_sequence(3, 60, 10)));
}

TEST(Batcher, PlansNothingWhenIdle) {
  const auto engine = stepper(stopping(), {});
  EXPECT_TRUE(engine->idle());
  const StepReport report = engine->step();
  EXPECT_TRUE(report.tokens.empty());
  EXPECT_EQ(report.prefill_tokens + report.decode_tokens, 0u);
}

// Random starts, stops and resumes under random limits, against the plainest model of the rules.
class RandomLife {
 public:
  explicit RandomLife(std::uint64_t seed) : random_(seed) {
    options_.context_tokens = 64 + below(300);
    options_.stop_one_in = below(3) == 0 ? 0 : 10 + below(60);
    limits_.slots = 1 + below(12);
    limits_.step_tokens = 1 + below(80);
    limits_.blocks = (options_.context_tokens + block_tokens - 1) / block_tokens + below(20);
    limits_.prefix_cache = below(4) > 0;
    limits_.draft_tokens = below(6);
    open();
  }

  void live() {
    for (int turn = 0; turn < 300; ++turn) {
      if (below(3) == 0) start();
      if (below(12) == 0 && !alive_.empty()) cut_and_resume();
      if (below(150) == 0) restart();
      step();
      if (testing::Test::HasFailure()) return;
    }
    while (!engine_->idle()) {
      step();
      if (testing::Test::HasFailure()) return;
    }
    EXPECT_TRUE(alive_.empty());
    EXPECT_EQ(engine_->load().blocks_used, 0u);
  }
  std::uint32_t preempted() const { return preempted_; }
  std::uint32_t cached() const { return cached_; }
  std::uint32_t kept() const { return kept_; }
  std::uint32_t fetched() const { return store_->loads; }

 private:
  struct Life {
    Sequence sequence;  // as first started
    Answer so_far, expected;
  };

  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }

  void start() {
    Sequence s = make_sequence(below(3) == 0 ? next_ : below(4),
                               1 + below(options_.context_tokens - 1), 1 + below(120));
    s.key = key_of(next_);
    s.sampling.seed = next_++;
    s.cache_salt = below(5) == 0 ? 1 : 0;
    if (below(3) == 0) s.sampling.logit_bias = {{66, 85.0f}};
    s.min_tokens = below(20);
    s.sampling.choice = below(3);
    if (below(6) == 0) s.stop_ids.clear();
    if (below(6) == 0) s.stop_ids.push_back(static_cast<TokenId>(32 + below(95)));
    const bool room = engine_->load().slots_used < engine_->load().slots_total;
    const auto started = engine_->start(s);
    ASSERT_EQ(started.ok(), room);
    if (room) alive_[s.key] = {s, {}, undisturbed(options_, s)};
  }

  void open() {
    engine_ = make_stepper(std::make_unique<CheckedRunner>(options_, limits_), limits_,
                           below(2) == 0 ? store_ : nullptr);
  }

  // The executor dies with all; another begins with what the store has.
  void restart() {
    alive_.clear();
    open();
  }

  // The executor dies under it, or it is cancelled for good.
  void cut_and_resume() {
    auto at = std::next(alive_.begin(), below(static_cast<std::uint32_t>(alive_.size())));
    Life life = at->second;
    ASSERT_TRUE(engine_->stop(at->first));
    alive_.erase(at);
    if (below(4) == 0) return;
    Sequence rest = life.sequence;
    rest.key.epoch = life.sequence.key.epoch.next();
    rest.ids.insert(rest.ids.end(), life.so_far.ids.begin(), life.so_far.ids.end());
    ASSERT_TRUE(engine_->start(rest));
    life.sequence.key = rest.key;
    alive_[rest.key] = life;
  }

  void step() {
    const StepReport report = engine_->step();
    preempted_ += report.preempted;
    kept_ += report.drafts_kept;
    for (const Begun& begun : report.begun) cached_ += begun.cached_tokens;
    for (const Generated& token : report.tokens) {
      ASSERT_TRUE(alive_.contains(token.key));
      Life& life = alive_[token.key];
      ASSERT_EQ(token.index.value, life.so_far.ids.size());
      life.so_far.ids.push_back(token.id);
      life.so_far.logprobs.push_back(token.logprobs);
      life.so_far.finish = token.finish;
      ASSERT_LE(life.so_far.ids.size(), life.expected.ids.size());
      ASSERT_EQ(token.id, life.expected.ids[token.index.value]);
      if (token.finish == Finish::none) continue;
      ASSERT_EQ(life.so_far, life.expected);
      alive_.erase(token.key);
    }
    ASSERT_EQ(engine_->load().slots_used, alive_.size());
  }

  std::mt19937_64 random_;
  FakeOptions options_;
  BatchLimits limits_;
  std::unique_ptr<Stepper> engine_;
  std::map<SequenceKey, Life> alive_;
  std::uint64_t next_ = 0;
  std::uint32_t preempted_ = 0, cached_ = 0, kept_ = 0;
  std::shared_ptr<MemoryStore> store_ = std::make_shared<MemoryStore>();
};

TEST(Batcher, RandomLivesAnswerAsUndisturbedOnes) {
  std::uint32_t preempted = 0, cached = 0, kept = 0, fetched = 0;
  for (std::uint64_t seed = test_seed(); seed < test_seed() + 200; ++seed) {
    RandomLife life(seed);
    life.live();
    ASSERT_FALSE(HasFailure()) << "AORTA_TEST_SEED=" << seed;
    preempted += life.preempted();
    cached += life.cached();
    kept += life.kept();
    fetched += life.fetched();
  }
  EXPECT_GT(preempted, 100u);  // or the test does not test what it should
  EXPECT_GT(cached, 10000u);
  EXPECT_GT(kept, 1000u);
  EXPECT_GT(fetched, 100u);
}

}  // namespace
}  // namespace aorta::engine
