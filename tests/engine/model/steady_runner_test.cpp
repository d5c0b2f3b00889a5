// A step of the CPU runner that decodes takes no memory on the engine's thread, however its tokens
// are drawn. Log-probabilities are handed over: the likeliest of a token are one piece of memory.
#include <gtest/gtest.h>

#include "engine/engine.hpp"
#include "tests/engine/count_allocations.hpp"
#include "tests/engine/model/test_models.hpp"

namespace aorta::engine {
namespace {

class SteadyRunner : public testing::Test {
 protected:
  // What 40 steps of 4 answers that are drawn so take, after some. One thread: nothing is chosen
  // on another, where it would not be counted.
  std::uint64_t allocations_of(const Sampling& sampling, std::optional<std::uint32_t> top_logprobs,
                               std::uint32_t threads = 1) {
    ModelOptions options;
    options.gguf_path = golden_path("models/gguf/tiny-llama-gqa.Q4_0.gguf");
    options.pack_path = *pack_model(options.gguf_path, directory_.path());
    options.threads = threads;
    options.blocks = 64;
    options.step_tokens = 64;
    auto runner = make_cpu_runner(options);
    EXPECT_TRUE(runner.ok()) << runner.error().message;
    const auto engine = make_stepper(std::move(*runner), {.step_tokens = 64, .blocks = 64});
    for (std::uint64_t n = 1; n <= 4; ++n) {
      Sequence s;
      s.key = {RequestId{0, n}, Epoch{1}};
      s.ids.assign(10 * n, static_cast<TokenId>(n));
      s.prompt_tokens = static_cast<std::uint32_t>(s.ids.size());
      s.max_tokens = 200;
      s.min_tokens = 200;
      s.stop_ids = {2};  // banned throughout
      s.sampling = sampling;
      s.sampling.seed = n;
      s.top_logprobs = top_logprobs;
      EXPECT_TRUE(engine->start(s).ok());
    }
    StepReport report;
    for (int step = 0; step < 10; ++step) engine->step(report);
    const std::uint64_t before = allocations;
    chosen_ = 0;
    for (int step = 0; step < 40; ++step) {
      engine->step(report);
      chosen_ += report.tokens.size() + report.drafted - report.drafts_kept;
    }
    return allocations - before;
  }

  const TemporaryDirectory directory_;
  std::uint64_t chosen_ = 0;  // tokens, those after a guess that did not hold too
};

TEST_F(SteadyRunner, GreedyTakesNoMemory) {
  EXPECT_EQ(allocations_of({.temperature = 0}, std::nullopt), 0u);
  EXPECT_EQ(allocations_of({.temperature = 0}, std::nullopt, 2), 0u);
}

TEST_F(SteadyRunner, NorDoesAnyWayOfDrawing) {
  const Sampling ways[] = {
      {},
      {.temperature = 0.001f},
      {.temperature = 200.0f},
      {.top_p = 0.95f},
      {.temperature = 50.0f, .top_p = 0.999f},
      {.min_p = 0.05f},
      {.top_k = 1},
      {.top_k = 40},
      {.top_k = 511},
      {.top_p = 0.9f, .min_p = 0.02f, .top_k = 300},
      {.presence_penalty = 0.5f},
      {.frequency_penalty = 0.2f},
      {.repetition_penalty = 1.1f},
      {.logit_bias = {{7, 3.0f}, {9, -100.0f}}},
      {.top_p = 0.8f,
       .min_p = 0.01f,
       .top_k = 100,
       .presence_penalty = 0.1f,
       .frequency_penalty = 0.1f,
       .repetition_penalty = 1.2f,
       .logit_bias = {{7, 3.0f}}},
  };
  for (const Sampling& way : ways) {
    EXPECT_EQ(allocations_of(way, std::nullopt), 0u) << "way " << &way - ways;
    EXPECT_EQ(allocations_of(way, 0), 0u) << "with logprobs of the chosen, way " << &way - ways;
  }
}

TEST_F(SteadyRunner, TheLikeliestAreOnePieceOfMemoryAToken) {
  const std::uint64_t taken = allocations_of({.top_p = 0.95f}, 5);
  EXPECT_GT(chosen_, 100u);
  EXPECT_EQ(taken, chosen_);
}

}  // namespace
}  // namespace aorta::engine
