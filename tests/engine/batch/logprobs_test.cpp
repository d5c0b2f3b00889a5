// Log-probabilities against long double, at the edges of float, and bit for bit.
#include "engine/batch/logprobs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "engine/batch/log.hpp"
#include "tests/engine/batch/test_seed.hpp"

namespace aorta::engine {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan_logit = std::numeric_limits<float>::quiet_NaN();

using Top = std::vector<std::pair<TokenId, float>>;

TEST(Log, MatchesTheTrueValueAndItsBitsAreFixed) {
  std::uint64_t hash = 0;
  double x = 1e-300;
  for (int i = 0; i < 60000; ++i, x *= 1.0231) {
    if (!std::isfinite(x)) x = 0.7;
    const double y = log_positive(x);
    EXPECT_NEAR(y, std::log(x), 3e-16 * std::max(1.0, std::abs(std::log(x)))) << x;
    hash = hash * 0x9E3779B97F4A7C15u + std::bit_cast<std::uint64_t>(y);
  }
  EXPECT_EQ(hash, 16839187669641534674u);
  EXPECT_EQ(log_positive(1.0), 0.0);
  EXPECT_EQ(log_positive(2.0), std::log(2.0));
}

// Every log-probability by its definition, sorted.
Top naive(const std::vector<float>& logits) {
  const long double largest = *std::max_element(logits.begin(), logits.end());
  long double mass = 0;
  for (const float logit : logits) mass += std::exp(logit - largest);
  Top all;
  for (std::size_t id = 0; id < logits.size(); ++id) {
    all.emplace_back(static_cast<TokenId>(id),
                     static_cast<float>(logits[id] - largest - std::log(mass)));
  }
  std::stable_sort(all.begin(), all.end(),
                   [&](const auto& a, const auto& b) { return logits[a.first] > logits[b.first]; });
  return all;
}

TEST(Logprobs, AgreeWithTheirDefinition) {
  const std::uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 400; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << " round " << round);
    std::normal_distribution<float> noise(random() % 100, round % 3 == 0 ? 0.1f : 6.0f);
    std::vector<float> logits(1 + random() % 700);
    for (float& logit : logits) logit = noise(random);
    if (random() % 2) {
      for (float& logit : logits) logit = std::round(logit);  // ties
    }
    const auto chosen = static_cast<TokenId>(random() % logits.size());
    const std::uint32_t top = random() % 21;
    const TokenLogprobs found = logprobs_of(logits, chosen, top);
    const Top expected = naive(logits);
    ASSERT_EQ(found.top.size(), std::min<std::size_t>(top, logits.size()));
    for (std::size_t i = 0; i < found.top.size(); ++i) {
      ASSERT_EQ(found.top[i].first, expected[i].first);
      ASSERT_FLOAT_EQ(found.top[i].second, expected[i].second);
    }
    const auto of_chosen = std::find_if(expected.begin(), expected.end(),
                                        [&](const auto& entry) { return entry.first == chosen; });
    ASSERT_FLOAT_EQ(found.chosen, of_chosen->second);
  }
}

// Float32 logits of a real model, and what an independent implementation made of them.
TEST(Logprobs, AgreeWithTheGoldenOnes) {
  const std::string folder = std::string(AORTA_SOURCE_DIR) + "/tests/golden/smollm2/";
  std::ifstream text(folder + "logits.json");
  const auto golden = nlohmann::json::parse(text);
  std::vector<float> logits(golden.at("vocab").get<std::size_t>());
  std::ifstream floats(folder + "logits_full.f32", std::ios::binary);
  std::size_t compared = 0;
  for (const auto& golden_case : golden.at("cases")) {
    if (!golden_case.contains("full_logits")) continue;
    const std::size_t last = golden_case["full_logits"]["positions"].size() - 1;
    const auto offset = golden_case["full_logits"]["offset_floats"].get<std::size_t>();
    floats.seekg(static_cast<std::streamoff>((offset + last * logits.size()) * sizeof(float)));
    floats.read(reinterpret_cast<char*>(logits.data()),
                static_cast<std::streamsize>(logits.size() * sizeof(float)));
    ASSERT_TRUE(floats);
    const auto greedy = golden_case["greedy_ids"][0].get<TokenId>();
    const TokenLogprobs found = logprobs_of(logits, greedy, 20);
    EXPECT_NEAR(found.chosen, golden_case["greedy_logprob"][0].get<double>(), 1e-4);
    const double log_mass = golden_case["logsumexp"].get<double>();
    for (std::size_t i = 0; i < 20; ++i) {
      EXPECT_EQ(found.top.at(i).first, golden_case["top20_ids"][i].get<TokenId>());
      EXPECT_NEAR(found.top.at(i).second, golden_case["top20_logits"][i].get<double>() - log_mass,
                  1e-4);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 60u);
}

TEST(Logprobs, TiesAreOrderedById) {
  EXPECT_EQ(logprobs_of(std::vector<float>(4, 7.0f), 2, 3),
            (TokenLogprobs{std::log(0.25f),
                           {{0, std::log(0.25f)}, {1, std::log(0.25f)}, {2, std::log(0.25f)}}}));
}

TEST(Logprobs, AreFiniteWhateverTheLogits) {
  EXPECT_EQ(logprobs_of(std::vector{3.0f}, 0, 5), (TokenLogprobs{0, {{0, 0.0f}}}));
  const std::vector unlikely{0.0f, -20000.0f, -inf, nan_logit};
  for (const TokenId id : {1, 2, 3}) EXPECT_EQ(logprobs_of(unlikely, id, 0).chosen, -9999.0f);
  EXPECT_EQ(logprobs_of(unlikely, 0, 20), (TokenLogprobs{0, {{0, 0.0f}, {1, -9999.0f}}}));
  EXPECT_EQ(logprobs_of(std::vector{nan_logit, -inf}, 1, 2), (TokenLogprobs{-9999.0f, {}}));
  const auto infinite = logprobs_of(std::vector{1.0f, inf, inf, -inf}, 1, 3);
  EXPECT_FLOAT_EQ(infinite.chosen, std::log(0.5f));
  ASSERT_EQ(infinite.top.size(), 3u);
  EXPECT_EQ(infinite.top[1].first, 2);
  EXPECT_EQ(infinite.top[2], (std::pair<TokenId, float>{0, -9999.0f}));
}

// Fixed for ever, as the sampler's: a stream that goes on elsewhere says the same.
TEST(Logprobs, TheBitsAreFixed) {
  std::uint64_t hash = 0;
  std::mt19937 random(5);
  for (int round = 0; round < 50; ++round) {
    std::vector<float> logits(1003);
    for (float& logit : logits) logit = static_cast<float>(random() % 100000) * 3e-4f;
    const TokenLogprobs found = logprobs_of(logits, 77, 20);
    hash = hash * 0x9E3779B97F4A7C15u + std::bit_cast<std::uint32_t>(found.chosen);
    for (const auto& [id, logprob] : found.top) {
      hash = hash * 0x9E3779B97F4A7C15u + std::bit_cast<std::uint32_t>(logprob) +
             static_cast<std::uint64_t>(id);
    }
  }
  EXPECT_EQ(hash, 787825202704768590u);
}

}  // namespace
}  // namespace aorta::engine
