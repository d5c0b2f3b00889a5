// What the batcher computes, and what it finds: in its own blocks, and in the host's store.
#include <gtest/gtest.h>

#include "tests/engine/batch/batch_helpers.hpp"
#include "tests/engine/batch/checked_runner.hpp"
#include "tests/engine/batch/memory_store.hpp"

namespace aorta::engine {
namespace {

std::unique_ptr<Stepper> stepper(const BatchLimits& limits,
                                 std::shared_ptr<BlockStore> store = nullptr) {
  return make_stepper(std::make_unique<CheckedRunner>(FakeOptions{}, limits), limits,
                      std::move(store));
}

// Another request with the prompt of `number`, and an answer of its own.
Sequence like(std::uint64_t number, std::uint64_t key, std::uint32_t prompt, std::uint32_t tokens) {
  Sequence s = make_sequence(number, prompt, tokens);
  s.key = key_of(key);
  s.sampling.seed = key;
  return s;
}

struct Outcome {
  std::vector<Begun> begun;
  std::uint32_t prefilled = 0;
};

Outcome run_out(Stepper& engine, const std::vector<Sequence>& sequences) {
  Outcome outcome;
  Answers answers;
  for (const Sequence& s : sequences) EXPECT_TRUE(engine.start(s));
  StepReport report;
  for (int steps = 0; !engine.idle() && steps < 5000; ++steps) {
    engine.step(report);
    EXPECT_TRUE(collect(report, answers));
    outcome.begun.insert(outcome.begun.end(), report.begun.begin(), report.begun.end());
    outcome.prefilled += report.prefill_tokens;
  }
  EXPECT_EQ(engine.load().blocks_used, 0u);
  for (const Sequence& s : sequences) EXPECT_EQ(answers[s.key], undisturbed({}, s));
  return outcome;
}

TEST(PrefixCache, APromptThatCameBeforeIsNotComputedAgain) {
  const auto engine = stepper({});
  EXPECT_EQ(run_out(*engine, {like(1, 1, 100, 20)}).prefilled, 100u);
  EXPECT_EQ(engine->load().blocks_cached, (100u + 19) / 16);
  const Outcome again = run_out(*engine, {like(1, 2, 100, 20)});
  EXPECT_EQ(again.prefilled, 100u - 96);
  ASSERT_EQ(again.begun.size(), 1u);
  EXPECT_EQ(again.begun[0].cached_tokens, 96u);
}

TEST(PrefixCache, TheLastPositionIsAlwaysComputed) {
  const auto engine = stepper({});
  run_out(*engine, {like(1, 1, 96, 5)});
  const Outcome again = run_out(*engine, {like(1, 2, 96, 5)});
  EXPECT_EQ(again.begun[0].cached_tokens, 80u);
  EXPECT_EQ(again.prefilled, 16u);
}

TEST(PrefixCache, AnAnswerIsAPrefixToo) {
  const auto engine = stepper({});
  Sequence whole = like(1, 1, 50, 60);
  run_out(*engine, {whole});
  const Answer answer = undisturbed({}, whole);
  Sequence moved = whole;  // its executor died after 40 tokens, and it comes back here
  moved.key = key_of(1, 2);
  moved.ids.insert(moved.ids.end(), answer.ids.begin(), answer.ids.begin() + 40);
  ASSERT_TRUE(engine->start(moved));
  const StepReport report = engine->step();
  ASSERT_EQ(report.begun.size(), 1u);
  EXPECT_EQ(report.begun[0].cached_tokens, 80u);
  EXPECT_EQ(report.tokens.at(0).id, answer.ids[40]);
}

TEST(PrefixCache, AnotherSaltFindsNothing) {
  const auto engine = stepper({});
  run_out(*engine, {like(1, 1, 100, 20)});
  Sequence other = like(1, 2, 100, 20);
  other.cache_salt = 5;
  EXPECT_EQ(run_out(*engine, {other}).begun[0].cached_tokens, 0u);
}

TEST(PrefixCache, OffMeansOff) {
  const auto store = std::make_shared<MemoryStore>();
  const auto engine = stepper({.prefix_cache = false}, store);
  for (std::uint64_t key = 1; key <= 2; ++key) {
    const Outcome outcome = run_out(*engine, {like(1, key, 100, 20)});
    EXPECT_EQ(outcome.prefilled, 100u);
    EXPECT_EQ(outcome.begun.at(0).cached_tokens, 0u);
  }
  EXPECT_EQ(engine->load().blocks_cached, 0u);
  EXPECT_EQ(store->saves, 0u);
}

TEST(PrefixCache, ThoseThatComeTogetherComputeTheirPrefixOnce) {
  const auto engine = stepper({.slots = 8, .step_tokens = 64});
  std::vector<Sequence> sequences;
  for (std::uint64_t n = 1; n <= 8; ++n) {
    Sequence s = like(1, n, 200, 10);
    s.ids.resize(200 + n, 7);
    s.prompt_tokens = static_cast<std::uint32_t>(s.ids.size());
    sequences.push_back(s);
  }
  const Outcome outcome = run_out(*engine, sequences);
  EXPECT_LE(outcome.prefilled, 201u + 7 * (200 + 8 - 192));
  EXPECT_EQ(outcome.begun.size(), 8u);
}

TEST(PrefixCache, WhatIsSentBackComesBackWithItsKv) {
  // The third fits beside the others until they grow; its blocks are not needed at once.
  const auto engine = stepper({.slots = 4, .step_tokens = 64, .blocks = 12, .draft_tokens = 0});
  const std::vector<Sequence> sequences = {like(1, 1, 60, 12), like(2, 2, 60, 12),
                                           like(3, 3, 40, 30)};
  const Outcome outcome = run_out(*engine, sequences);
  std::uint32_t cached = 0;
  for (const Begun& begun : outcome.begun) cached += begun.cached_tokens;
  EXPECT_EQ(outcome.begun.size(), 4u) << "one was sent back";
  EXPECT_GE(cached, 32u);
}

TEST(PrefixCache, AnotherExecutorFetchesWhatTheStoreHas) {
  const auto store = std::make_shared<MemoryStore>();
  run_out(*stepper({}, store), {like(1, 1, 100, 40)});
  EXPECT_EQ(store->blocks.size(), (100u + 39) / 16);
  EXPECT_EQ(store->saved_twice, 0u);
  const auto other = stepper({}, store);
  const Outcome outcome = run_out(*other, {like(1, 2, 100, 20)});
  EXPECT_EQ(outcome.prefilled, 4u);
  EXPECT_EQ(outcome.begun.at(0).cached_tokens, 96u);
  EXPECT_EQ(store->loads, 6u);
  EXPECT_EQ(run_out(*other, {like(1, 3, 100, 20)}).prefilled, 4u);
  EXPECT_EQ(store->loads, 6u) << "the second time it has them itself";
}

TEST(PrefixCache, AStoreThatLosesWhatItHadCostsOnlyTime) {
  const auto store = std::make_shared<MemoryStore>();
  run_out(*stepper({}, store), {like(1, 1, 100, 40)});
  store->refuse = true;
  EXPECT_EQ(run_out(*stepper({}, store), {like(1, 2, 100, 20)}).prefilled, 100u);
}

TEST(PrefixCache, ALongPromptIsFetchedBesideTheOthersTokens) {
  const auto store = std::make_shared<MemoryStore>();
  run_out(*stepper({}, store), {like(1, 1, 4000, 2)});
  const auto engine = stepper({}, store);
  ASSERT_TRUE(engine->start(like(2, 2, 10, 500)));
  engine->step();
  ASSERT_TRUE(engine->start(like(1, 3, 4000, 2)));
  std::uint32_t steps = 0;
  for (bool begun = false; !begun; ++steps) {
    ASSERT_LT(steps, 50u);
    const StepReport report = engine->step();
    EXPECT_EQ(report.decode_tokens, 1u) << "in every step";
    begun = !report.begun.empty();
  }
  EXPECT_GT(steps, 5u) << "not all in one step";
}

TEST(PrefixCache, WhatIsStoppedIsSaved) {
  const auto store = std::make_shared<MemoryStore>();
  const auto engine = stepper({.draft_tokens = 0}, store);
  for (std::uint64_t n = 1; n <= 4; ++n) ASSERT_TRUE(engine->start(like(n, n, 60, 400)));
  for (int steps = 0; steps < 5; ++steps)
    engine->step();  // each fills its fourth block in the last
  EXPECT_LT(store->blocks.size(), 16u) << "one a step, so that no step is late";
  for (std::uint64_t n = 1; n <= 4; ++n) ASSERT_TRUE(engine->stop(key_of(n)));
  EXPECT_EQ(store->blocks.size(), 16u);
  EXPECT_EQ(store->saved_twice, 0u);
}

// An engine that comes back to the same names saves nothing it has fetched or saved.
TEST(PrefixCache, WhatIsEvictedIsSavedOnce) {
  const auto store = std::make_shared<MemoryStore>();
  const auto engine = stepper({.slots = 4, .step_tokens = 64, .blocks = 12}, store);
  for (std::uint64_t n = 1; n <= 6; ++n) run_out(*engine, {like(n, n, 100, 30)});
  EXPECT_EQ(store->saves, 6u * (129 / 16));
  const std::uint32_t loads = store->loads;
  EXPECT_EQ(run_out(*engine, {like(1, 9, 100, 30)}).prefilled, 4u) << "from the store";
  EXPECT_GT(store->loads, loads);
  EXPECT_EQ(store->saved_twice, 0u);
}

}  // namespace
}  // namespace aorta::engine
