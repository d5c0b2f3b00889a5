// The one-answer rule as a client sees it: tokens and log-probabilities of an engine are one
// constant, whatever the instruction set, the threads, the budget of a step and the neighbours.
#include <gtest/gtest.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <random>

#include "engine/cpu/isa.hpp"
#include "engine/engine.hpp"
#include "tests/engine/model/test_models.hpp"

namespace aorta::engine {
namespace {

struct Case {
  const char* model;
  const char* stream_hash;  // committed: XXH3 64 of the ids and log-probabilities of sequence 1
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.model; }
constexpr Case cases[] = {
    {"tiny-llama-gqa.Q8_0", "429083a15ba02c65"},
    {"tiny-llama-gqa.Q4_0", "7ab92a9f4cd3bde4"},
    {"tiny-llama3-rope.F16", "c92559f0f74a042a"},
};

Sequence sequence_of(std::uint32_t number, std::uint32_t prompt_tokens) {
  Sequence sequence;
  sequence.key = {RequestId{0, number}, Epoch{1}};
  std::mt19937 random(number);
  for (std::uint32_t i = 0; i < prompt_tokens; ++i) {
    sequence.ids.push_back(static_cast<TokenId>(random() % 512));
  }
  sequence.prompt_tokens = prompt_tokens;
  sequence.max_tokens = 12;
  sequence.sampling.seed = number;
  sequence.top_logprobs = 20 * (number % 2);
  return sequence;
}

// What comes of sequence 1 beside so many others.
std::string stream_hash(Stepper& engine, std::uint32_t neighbours) {
  EXPECT_TRUE(engine.start(sequence_of(1, 70)).ok());
  for (std::uint32_t n = 0; n < neighbours; ++n) {
    EXPECT_TRUE(engine.start(sequence_of(2 + n, 1 + 20 * n)).ok());
  }
  std::vector<std::uint32_t> stream;
  while (!engine.idle()) {
    for (const Generated& token : engine.step().tokens) {
      EXPECT_TRUE(token.logprobs.has_value());
      if (token.key.request != RequestId{0, 1} || !token.logprobs) continue;
      stream.push_back(static_cast<std::uint32_t>(token.id));
      stream.push_back(std::bit_cast<std::uint32_t>(token.logprobs->chosen));
      for (const auto& [id, logprob] : token.logprobs->top) {
        stream.push_back(static_cast<std::uint32_t>(id));
        stream.push_back(std::bit_cast<std::uint32_t>(logprob));
      }
    }
  }
  EXPECT_EQ(stream.size(), 12u * 42u);
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(stream.data(), stream.size() * 4)));
  return text;
}

using Parameters = std::tuple<Case, std::string, std::uint32_t>;

class OneStream : public testing::TestWithParam<Parameters> {};

TEST_P(OneStream, TokensAndLogprobsAreOneConstant) {
  const auto& [expected, isa, threads] = GetParam();
  const auto available = cpu::available_isas();
  if (std::find(available.begin(), available.end(), isa) == available.end()) {
    GTEST_SKIP() << "not run: this machine lacks " << isa;
  }
  const TemporaryDirectory directory;
  ModelOptions options;
  options.gguf_path = golden_path("models/gguf/" + std::string(expected.model) + ".gguf");
  options.pack_path = *pack_model(options.gguf_path, directory.path());
  options.threads = threads;
  options.isa = isa;
  options.blocks = 64;
  for (const std::uint32_t step_tokens : {5u, 64u}) {
    options.step_tokens = step_tokens;
    auto runner = make_cpu_runner(options);
    ASSERT_TRUE(runner.ok()) << runner.error().message;
    const auto engine = make_stepper(
        std::move(*runner), {.slots = 5, .step_tokens = step_tokens, .blocks = options.blocks});
    for (const std::uint32_t neighbours : {0u, 4u}) {
      EXPECT_EQ(stream_hash(*engine, neighbours), expected.stream_hash)
          << step_tokens << " a step, " << neighbours << " neighbours";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, OneStream,
                         testing::Combine(testing::ValuesIn(cases),
                                          testing::Values("scalar", "avx2", "avxvnni", "avx512"),
                                          testing::Values(1u, 2u)),
                         [](const auto& info) {
                           std::string name = std::get<0>(info.param).model;
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return !std::isalnum(c); },
                               '_');
                           return name + "_" + std::get<1>(info.param) + "_threads" +
                                  std::to_string(std::get<2>(info.param));
                         });

}  // namespace
}  // namespace aorta::engine
