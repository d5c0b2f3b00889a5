// The CPU runner as the batcher sees it: what it says of itself, mixed batches, and its errors.
#include <gtest/gtest.h>

#include <numeric>

#include "engine/cpu/isa.hpp"
#include "engine/engine.hpp"
#include "tests/engine/model/test_models.hpp"

namespace aorta::engine {
namespace {

class RunnerTest : public testing::Test {
 protected:
  ModelOptions options() {
    ModelOptions options;
    options.gguf_path = golden_path("models/gguf/tiny-llama-gqa.Q4_0.gguf");
    options.pack_path = *pack_model(options.gguf_path, directory_.path());
    options.model_id = "tiny";
    options.blocks = 64;
    options.step_tokens = 64;
    return options;
  }
  std::unique_ptr<Runner> open(const ModelOptions& options) {
    auto runner = make_cpu_runner(options);
    EXPECT_TRUE(runner.ok()) << runner.error().message;
    return std::move(*runner);
  }
  const TemporaryDirectory directory_;
};

TEST_F(RunnerTest, NumericsIdIsTheModelsAndNotTheMachines) {
  ModelOptions o = options();
  const auto first = open(o);
  EXPECT_EQ(first->info().model_id, "tiny");
  EXPECT_EQ(first->info().context_tokens, 512u);
  EXPECT_EQ(first->info().vocabulary, 512u);
  EXPECT_EQ(first->info().numerics_id.size(), 32u);
  o.threads = 2;
  for (const std::string& isa : cpu::available_isas()) {
    o.isa = isa;
    EXPECT_EQ(open(o)->info().numerics_id, first->info().numerics_id) << isa;
  }
  ModelOptions other = options();
  other.gguf_path = golden_path("models/gguf/tiny-llama-gqa.Q8_0.gguf");
  other.pack_path = *pack_model(other.gguf_path, directory_.path());
  EXPECT_NE(open(other)->info().numerics_id, first->info().numerics_id);
}

// Two sequences decode beside a third one's prefill; each is answered as if it were alone.
TEST_F(RunnerTest, AMixedBatchAnswersAsEachAlone) {
  const auto runner = open(options());
  const Sampling greedy = {.temperature = 0.0f};
  const Sampling random = {.temperature = 0.8f, .seed = 7};
  struct Member {
    std::vector<TokenId> ids;
    std::vector<std::uint32_t> blocks;
    const Sampling* sampling;
    std::uint32_t computed;  // positions already in KV when the batch runs
    std::optional<std::uint32_t> top_logprobs;
  };
  std::vector<Member> members = {{std::vector<TokenId>(21), {3, 9}, &greedy, 20, 20},
                                 {std::vector<TokenId>(17), {5, 1}, &random, 16, {}},
                                 {std::vector<TokenId>(30), {2, 7}, &random, 0, 0}};
  for (std::size_t m = 0; m < members.size(); ++m) {
    for (std::size_t i = 0; i < members[m].ids.size(); ++i) {
      members[m].ids[i] = static_cast<TokenId>((i * 31 + m * 7) % 512);
    }
  }
  const auto row = [](const Member& m, std::uint32_t first, std::uint32_t count,
                      std::uint32_t samples) {
    RunnerRow row{.ids = m.ids, .first = first, .count = count, .blocks = m.blocks};
    row.samples = samples;
    row.prompt_tokens = static_cast<std::uint32_t>(m.ids.size());
    row.sampling = m.sampling;
    row.top_logprobs = m.top_logprobs;
    return row;
  };
  std::vector<Choice> alone;
  for (const Member& m : members) {
    const auto whole = row(m, 0, static_cast<std::uint32_t>(m.ids.size()), 1);
    Choice chosen;
    runner->run({&whole, 1}, {&chosen, 1});
    EXPECT_EQ(chosen.logprobs.has_value(), m.top_logprobs.has_value());
    alone.push_back(chosen);
  }
  std::vector<RunnerRow> batch;
  for (const Member& m : members) {
    batch.push_back(row(m, m.computed, static_cast<std::uint32_t>(m.ids.size()) - m.computed, 1));
  }
  std::vector<Choice> together(batch.size());
  runner->run(batch, together);
  for (std::size_t m = 0; m < members.size(); ++m) {
    EXPECT_EQ(together[m].id, alone[m].id);
    EXPECT_EQ(together[m].logprobs, alone[m].logprobs);
  }
  EXPECT_EQ(together[0].logprobs->top.size(), 20u);
  EXPECT_EQ(together[0].logprobs->top[0].first, together[0].id) << "greedy: the likeliest";
  EXPECT_TRUE(together[2].logprobs->top.empty());
  // A prefill that is not finished chooses nothing.
  const auto part = row(members[2], 0, 16, 0);
  runner->run({&part, 1}, {});
}

TEST_F(RunnerTest, AnswersBadOptionsWithASentence) {
  ModelOptions o = options();
  o.isa = "mmx";
  auto runner = make_cpu_runner(o);
  ASSERT_FALSE(runner.ok());
  EXPECT_EQ(runner.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(runner.error().message.find("avx512"), std::string::npos);

  o = options();
  o.pack_path += ".absent";
  EXPECT_EQ(make_cpu_runner(o).error().code, ErrorCode::not_found);

  o = options();
  o.gguf_path = golden_path("models/gguf/tiny-llama-gqa.Q8_0.gguf");
  EXPECT_EQ(make_cpu_runner(o).error().code, ErrorCode::conflict);
}

}  // namespace
}  // namespace aorta::engine
