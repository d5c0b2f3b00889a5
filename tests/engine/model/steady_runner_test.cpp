// A step of the CPU runner that decodes takes no memory on the engine's thread.
#include <gtest/gtest.h>

#include "engine/engine.hpp"
#include "tests/engine/count_allocations.hpp"
#include "tests/engine/model/test_models.hpp"

namespace aorta::engine {
namespace {

TEST(SteadyRunner, TakesNoMemory) {
  const TemporaryDirectory directory;
  ModelOptions options;
  options.gguf_path = golden_path("models/gguf/tiny-llama-gqa.Q4_0.gguf");
  options.pack_path = *pack_model(options.gguf_path, directory.path());
  options.threads = 2;
  options.blocks = 64;
  options.step_tokens = 64;
  auto runner = make_cpu_runner(options);
  ASSERT_TRUE(runner.ok()) << runner.error().message;
  const auto engine = make_stepper(std::move(*runner), {.step_tokens = 64, .blocks = 64});
  for (std::uint64_t n = 1; n <= 4; ++n) {
    Sequence s;
    s.key = {RequestId{0, n}, Epoch{1}};
    s.ids.assign(10 * n, static_cast<TokenId>(n));
    s.prompt_tokens = static_cast<std::uint32_t>(s.ids.size());
    s.max_tokens = 100;
    s.sampling.temperature = 0;
    ASSERT_TRUE(engine->start(s).ok());
  }
  StepReport report;
  for (int step = 0; step < 10; ++step) engine->step(report);
  const std::uint64_t before = allocations;
  for (int step = 0; step < 10; ++step) engine->step(report);
  EXPECT_EQ(allocations - before, 0u);
}

}  // namespace
}  // namespace aorta::engine
