// The one-answer rule as a client sees it: the tokens and log-probabilities of an answer are one
// constant of its model, whatever the instruction set, the threads, the budget of a step, the
// neighbours, what is found in the cache or fetched from a store, and what is guessed.
#include <gtest/gtest.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <random>

#include "engine/cpu/isa.hpp"
#include "engine/engine.hpp"
#include "engine/kv/block_store.hpp"
#include "tests/engine/model/test_models.hpp"
#include "tests/engine/model/timeless_runner.hpp"

namespace aorta::engine {
namespace {

// Packs are the same for all instruction sets; the KV blocks of a sequence are where its neighbours
// leave room.
struct Case {
  const char* model;
  const char* stream_hash;  // committed: XXH3 64 of the ids and log-probabilities of sequence 1
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.model; }
constexpr Case cases[] = {
    {"tiny-llama-gqa.Q8_0", "bbe880a0f93fa290"},  {"tiny-llama-gqa.Q4_0", "8415ccc7a31331d1"},
    {"tiny-llama3-rope.F16", "38e4484d9d1c92a7"}, {"tiny-qwen2.F16", "3b25404ca9a80f19"},
    {"tiny-qwen2.Q8_0", "5b9a9f56fe26d0b8"},      {"tiny-qwen2-untied.Q5_1", "ad05e9d59fc4155b"},
    {"tiny-llama-gqa", "6a0fc39dce786474"},       {"tiny-llama3-rope", "c5f898050565d25e"},
    {"tiny-qwen2", "5b8c6e012715ec64"},           {"tiny-qwen2-untied", "0e2db462a42286b8"},
    {"tiny-qwen3", "e837ce316f07fc30"},
};

constexpr std::uint32_t prompt_tokens = 44, found_tokens = 32;  // of the prompt's whole blocks
constexpr std::uint32_t answer_tokens = 24;
constexpr std::uint32_t blocks = 64, most_step_tokens = 64;

std::vector<TokenId> random_ids(std::uint32_t seed, std::uint32_t count) {
  std::mt19937 random(seed);
  std::vector<TokenId> ids(count);
  for (TokenId& id : ids) id = static_cast<TokenId>(random() % 512);
  return ids;
}

// Its answer is of four ids, so that it repeats itself and some guesses hold; the others do not.
Sequence watched_sequence() {
  Sequence sequence;
  sequence.key = {RequestId{0, 1}, Epoch{1}};
  sequence.ids = random_ids(1, prompt_tokens);
  sequence.prompt_tokens = prompt_tokens;
  sequence.max_tokens = answer_tokens;
  sequence.sampling.seed = 1;
  sequence.sampling.temperature = 0.7f;
  for (const TokenId id : {7, 11, 200, 301}) sequence.sampling.logit_bias.push_back({id, 60.0f});
  sequence.top_logprobs = 20;
  return sequence;
}

Sequence neighbour_sequence(std::uint32_t number) {
  Sequence sequence;
  sequence.key = {RequestId{0, 2 + number}, Epoch{1}};
  sequence.ids = random_ids(2 + number, 1 + 10 * number);
  sequence.prompt_tokens = static_cast<std::uint32_t>(sequence.ids.size());
  sequence.max_tokens = 8;
  sequence.sampling.seed = number;
  return sequence;
}

struct Stream {
  std::string hash;
  std::uint32_t cached = 0, kept = 0;  // of sequence 1; of all
};

// What comes of sequence 1 beside so many others.
Stream stream_of(Stepper& engine, std::uint32_t neighbours) {
  EXPECT_TRUE(engine.start(watched_sequence()).ok());
  for (std::uint32_t n = 0; n < neighbours; ++n) {
    EXPECT_TRUE(engine.start(neighbour_sequence(n)).ok());
  }
  Stream stream;
  std::vector<std::uint32_t> bits;
  while (!engine.idle()) {
    const StepReport report = engine.step();
    stream.kept += report.drafts_kept;
    for (const Begun& begun : report.begun) {
      if (begun.key.request == RequestId{0, 1}) stream.cached = begun.cached_tokens;
    }
    for (const Generated& token : report.tokens) {
      if (token.key.request != RequestId{0, 1} || !token.logprobs) continue;
      bits.push_back(static_cast<std::uint32_t>(token.id));
      bits.push_back(std::bit_cast<std::uint32_t>(token.logprobs->chosen));
      for (const auto& [id, logprob] : token.logprobs->top) {
        bits.push_back(static_cast<std::uint32_t>(id));
        bits.push_back(std::bit_cast<std::uint32_t>(logprob));
      }
    }
  }
  EXPECT_EQ(bits.size(), answer_tokens * 42u);
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(bits.data(), bits.size() * 4)));
  stream.hash = text;
  return stream;
}

// All that there are; of the slow scalar kernels one for each number of threads.
struct Variant {
  std::uint32_t step_tokens, neighbours, drafts;
};
std::vector<Variant> variants(const std::string& isa, std::uint32_t threads) {
  constexpr std::uint32_t most = most_step_tokens;
  if (isa == "scalar") return {threads == 1 ? Variant{most, 0, 4} : Variant{7, 4, 0}};
  return {{most, 0, 0}, {7, 0, 0}, {most, 4, 0}, {7, 4, 0},
          {most, 0, 4}, {7, 0, 4}, {most, 4, 4}, {7, 4, 4}};
}

using Parameters = std::tuple<Case, std::string, std::uint32_t>;

class OneStream : public testing::TestWithParam<Parameters> {
 protected:
  void open(const ModelOptions& options) {
    auto runner = make_cpu_runner(options);
    ASSERT_TRUE(runner.ok()) << runner.error().message;
    runner_ = std::move(*runner);
  }

  // A batcher that has computed nothing yet.
  std::unique_ptr<Stepper> batcher(std::uint32_t step_tokens, std::uint32_t drafts) {
    auto store = SharedBlockStore::open(store_path(), runner_->info().numerics_id);
    EXPECT_TRUE(store.ok()) << store.error().message;
    return make_stepper(
        std::make_unique<TimelessRunner>(runner_),
        {.slots = 5, .step_tokens = step_tokens, .blocks = blocks, .draft_tokens = drafts},
        std::move(*store));
  }

  std::unique_ptr<SharedBlockStore> empty_store() const {
    const std::size_t block_bytes = runner_->kv_block(0).size();
    std::filesystem::remove(store_path());
    auto store =
        SharedBlockStore::create(store_path(), block_bytes * 4 * blocks + (1 << 20), block_bytes);
    EXPECT_TRUE(store.ok()) << store.error().message;
    return std::move(*store);
  }

  std::string store_path() const { return directory_.path() + "/kv"; }

  const TemporaryDirectory directory_;
  std::shared_ptr<Runner> runner_;
};

TEST_P(OneStream, TokensAndLogprobsAreOneConstant) {
  const auto& [expected, isa, threads] = GetParam();
  const auto available = cpu::available_isas();
  if (std::find(available.begin(), available.end(), isa) == available.end()) {
    GTEST_SKIP() << "not run: this machine lacks " << isa;
  }
  ModelOptions options;
  options.gguf_path = tiny_model_path(expected.model);
  options.pack_path = *pack_model(options.gguf_path, directory_.path());
  options.threads = threads;
  options.isa = isa;
  options.blocks = blocks;
  options.step_tokens = most_step_tokens;
  open(options);
  for (const auto& [step_tokens, neighbours, drafts] : variants(isa, threads)) {
    SCOPED_TRACE(testing::Message() << step_tokens << " a step, " << neighbours << " neighbours, "
                                    << drafts << " guesses");
    const auto owner = empty_store();
    const auto engine = batcher(step_tokens, drafts);
    const Stream computed = stream_of(*engine, neighbours);
    EXPECT_EQ(computed.hash, expected.stream_hash) << "computed";
    EXPECT_EQ(computed.cached, 0u);
    EXPECT_EQ(computed.kept > 0, drafts > 0);
    const Stream found = stream_of(*engine, neighbours);
    EXPECT_EQ(found.hash, expected.stream_hash) << "found";
    EXPECT_EQ(found.cached, found_tokens);
    const std::uint64_t loaded = owner->figures().loaded;
    const Stream fetched = stream_of(*batcher(step_tokens, drafts), neighbours);
    EXPECT_EQ(fetched.hash, expected.stream_hash) << "fetched";
    EXPECT_EQ(fetched.cached, found_tokens);
    EXPECT_GE(owner->figures().loaded, loaded + found_tokens / block_tokens);
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
