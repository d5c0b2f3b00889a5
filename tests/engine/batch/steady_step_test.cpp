// A step in which answers only grow takes no memory: what they need is taken when they start.
#include <gtest/gtest.h>

#include "tests/engine/batch/batch_helpers.hpp"
#include "tests/engine/count_allocations.hpp"

namespace aorta::engine {
namespace {

// The fake model with all the KV it will need.
std::unique_ptr<Stepper> stepper(const FakeOptions& options, const BatchLimits& limits) {
  auto runner = make_fake_runner(options);
  runner->kv_block(limits.blocks - 1);
  return make_stepper(std::move(runner), limits);
}

std::uint64_t allocations_of(Stepper& engine, StepReport& report) {
  const std::uint64_t before = allocations;
  engine.step(report);
  return allocations - before;
}

TEST(SteadyStep, TakesNoMemory) {
  const auto engine = stepper({}, {.slots = 16, .blocks = 160});
  for (std::uint64_t n = 0; n < 16; ++n) {
    Sequence s = make_sequence(2 * n, 40, 400);             // even: no logprobs
    if (n % 2 == 0) s.sampling.logit_bias = {{65, 90.0f}};  // guesses that hold
    ASSERT_TRUE(engine->start(s));
  }
  StepReport report;
  for (int step = 0; step < 30; ++step) engine->step(report);
  std::uint32_t guesses = 0;
  for (int step = 0; step < 60; ++step) {
    ASSERT_EQ(allocations_of(*engine, report), 0u) << "step " << step;
    guesses += report.drafted;
  }
  EXPECT_GT(guesses, 100u);
}

TEST(SteadyStep, NeitherWithAPoolThatIsFullOfOthersBlocks) {
  FakeOptions options;
  options.context_tokens = 1024;
  const auto engine = stepper(options, {.slots = 4, .blocks = 64});
  StepReport report;
  for (std::uint64_t n = 0; n < 8; ++n) {  // leaves the pool full of what nobody holds
    ASSERT_TRUE(engine->start(make_sequence(2 * n, 200, 4)));
    while (!engine->idle()) engine->step(report);
  }
  for (std::uint64_t n = 20; n < 22; ++n) ASSERT_TRUE(engine->start(make_sequence(2 * n, 20, 400)));
  for (int step = 0; step < 20; ++step) engine->step(report);
  const std::uint32_t cached = engine->load().blocks_cached;
  for (int step = 0; step < 200; ++step) ASSERT_EQ(allocations_of(*engine, report), 0u) << step;
  EXPECT_LT(engine->load().blocks_cached, cached) << "blocks were evicted meanwhile";
}

}  // namespace
}  // namespace aorta::engine
