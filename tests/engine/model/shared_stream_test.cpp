// The one-answer rule for what is found and what is guessed: 32 prompts answer all at once, with
// hits, with blocks of another engine and with guesses, as each alone on an engine without any.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/engine.hpp"
#include "engine/kv/block_store.hpp"
#include "tests/engine/model/test_models.hpp"
#include "tests/engine/model/timeless_runner.hpp"

namespace aorta::engine {
namespace {

constexpr std::uint32_t requests = 32, blocks = 1200;

struct Streams {
  std::map<RequestId, std::vector<TokenId>> ids;
  std::map<RequestId, std::vector<TokenLogprobs>> logprobs;
  std::uint32_t cached = 0, kept = 0;
};

class SharedStream : public testing::TestWithParam<std::string> {
 protected:
  bool demo() const { return GetParam() == "demo"; }

  void SetUp() override {
    if (demo() && !std::filesystem::exists(demo_model_path())) {
      GTEST_SKIP() << "no demo model at " << demo_model_path();
    }
    options_.gguf_path = demo() ? demo_model_path() : golden_path("models/gguf/" + GetParam());
    options_.pack_path = *pack_model(options_.gguf_path, directory_.path());
    options_.threads = 2;
    options_.blocks = blocks;
    for (std::uint32_t n = 0; n < requests; ++n) sequences_.push_back(sequence(n));
  }

  // Half begin with the same 80 ids, half are greedy. Guesses need an answer that repeats itself:
  // the demo model's do, the others' are made to.
  Sequence sequence(std::uint32_t n) const {
    Sequence s;
    s.key = {RequestId{0, n}, Epoch{1}};
    if (n % 2 == 0) s.ids = ids(1, 80);
    const auto own = ids(100 + n, 5 + 3 * n);
    s.ids.insert(s.ids.end(), own.begin(), own.end());
    s.prompt_tokens = static_cast<std::uint32_t>(s.ids.size());
    s.max_tokens = demo() ? 24 : 40;
    s.sampling.seed = n;
    s.sampling.temperature = n % 4 < 2 ? 0.0f : 0.8f;
    if (!demo() && n % 4 == 0) s.sampling.logit_bias = {{7, 40.0f}};
    if (n % 3 == 0) s.top_logprobs = 2;
    return s;
  }

  // Of a golden prompt where the model has words, random otherwise.
  std::vector<TokenId> ids(std::uint32_t seed, std::uint32_t count) const {
    static const auto golden =
        nlohmann::json::parse(std::ifstream(golden_path("smollm2/logits.json")))["cases"];
    std::mt19937 random(seed);
    std::vector<TokenId> ids;
    while (ids.size() < count) {
      if (!demo()) {
        ids.push_back(static_cast<TokenId>(random() % 512));
        continue;
      }
      const auto words = golden[random() % golden.size()]["ids"].get<std::vector<TokenId>>();
      ids.insert(ids.end(), words.begin(), words.end());
    }
    ids.resize(count);
    return ids;
  }

  std::unique_ptr<Stepper> open(BatchLimits limits, std::shared_ptr<BlockStore> store = nullptr) {
    limits.slots = requests;
    limits.blocks = blocks;
    options_.step_tokens = limits.step_tokens;
    auto runner = make_cpu_runner(options_);
    EXPECT_TRUE(runner.ok()) << runner.error().message;
    block_bytes_ = (*runner)->kv_block(0).size();
    numerics_id_ = (*runner)->info().numerics_id;
    return make_stepper(std::make_unique<TimelessRunner>(std::move(*runner)), limits,
                        std::move(store));
  }

  Streams run(Stepper& engine, bool at_once) const {
    Streams streams;
    StepReport report;
    for (const Sequence& s : sequences_) {
      EXPECT_TRUE(engine.start(s).ok());
      if (!at_once) run_out(engine, report, streams);
    }
    run_out(engine, report, streams);
    return streams;
  }

  static void run_out(Stepper& engine, StepReport& report, Streams& streams) {
    while (!engine.idle()) {
      engine.step(report);
      for (const Begun& begun : report.begun) streams.cached += begun.cached_tokens;
      streams.kept += report.drafts_kept;
      for (const Generated& token : report.tokens) {
        streams.ids[token.key.request].push_back(token.id);
        if (token.logprobs) streams.logprobs[token.key.request].push_back(*token.logprobs);
      }
    }
  }

  static void expect_same(const Streams& streams, const Streams& expected, const char* what) {
    std::uint32_t same = 0;
    for (const auto& [request, ids] : expected.ids) {
      const auto at = streams.ids.find(request);
      same += at != streams.ids.end() && at->second == ids;
    }
    EXPECT_EQ(same, requests) << what;
    EXPECT_EQ(streams.logprobs, expected.logprobs) << what;
  }

  const TemporaryDirectory directory_;
  ModelOptions options_;
  std::vector<Sequence> sequences_;
  std::size_t block_bytes_ = 0;
  std::string numerics_id_;
};

TEST_P(SharedStream, HitsAndGuessesChangeNoBit) {
  const Streams alone =
      run(*open({.step_tokens = 64, .prefix_cache = false, .draft_tokens = 0}), false);
  EXPECT_EQ(alone.cached, 0u);
  EXPECT_EQ(alone.kept, 0u);
  const auto both = open({.step_tokens = 256});
  const Streams first = run(*both, true);
  expect_same(first, alone, "all at once, with hits among them and guesses");
  EXPECT_GE(first.cached, 15u * 80);
  const Streams again = run(*both, true);
  expect_same(again, alone, "all again, with hits and guesses");
  EXPECT_GT(again.cached, first.cached + 500);
  EXPECT_GT(again.kept, 20u);
  if (demo()) return;  // too slow for every combination
  for (const std::uint32_t step_tokens : {33u, 256u}) {
    const auto plain = open({.step_tokens = step_tokens, .prefix_cache = false, .draft_tokens = 0});
    expect_same(run(*plain, true), alone, "all at once");
    const auto guessing = open({.step_tokens = step_tokens, .prefix_cache = false});
    const Streams guessed = run(*guessing, false);
    expect_same(guessed, alone, "guesses, one by one");
    EXPECT_GT(guessed.kept, 20u);
    const auto hitting = open({.step_tokens = step_tokens, .draft_tokens = 0});
    expect_same(run(*hitting, true), alone, "hits among those that come together");
    expect_same(run(*hitting, false), alone, "hits, one by one");
  }
}

TEST_P(SharedStream, BlocksOfAnotherEngineChangeNoBit) {
  const Streams alone =
      run(*open({.step_tokens = 64, .prefix_cache = false, .draft_tokens = 0}), false);
  const std::string path = directory_.path() + "/kv";
  const auto owner = SharedBlockStore::create(path, block_bytes_ * 500 + (1 << 20), block_bytes_);
  ASSERT_TRUE(owner.ok()) << owner.error().message;
  const auto store = [&]() -> std::shared_ptr<BlockStore> {
    auto opened = SharedBlockStore::open(path, numerics_id_);
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    return std::move(*opened);
  };
  expect_same(run(*open({.step_tokens = 64}, store()), true), alone, "while it saves");
  EXPECT_GT((*owner)->figures().saved, 100u);
  const auto before = (*owner)->figures().loaded;
  const Streams fetched = run(*open({.step_tokens = 256}, store()), true);
  expect_same(fetched, alone, "fetched");
  EXPECT_GT((*owner)->figures().loaded, before + 80);
  EXPECT_GT(fetched.cached, 2000u);
  if (demo()) return;
  expect_same(run(*open({.step_tokens = 40}, store()), false), alone, "fetched, one by one");
}

INSTANTIATE_TEST_SUITE_P(, SharedStream,
                         testing::Values("tiny-llama-gqa.Q4_0.gguf", "tiny-llama3-rope.F16.gguf",
                                         "demo"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return !std::isalnum(c); },
                               '_');
                           return name;
                         });

}  // namespace
}  // namespace aorta::engine
