#include "engine/batch/sampler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "base/philox.hpp"
#include "engine/batch/exp.hpp"
#include "tests/engine/batch/test_seed.hpp"

namespace aorta::engine {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan_logit = std::numeric_limits<float>::quiet_NaN();

Sampling greedy() {
  Sampling s;
  s.temperature = 0;
  return s;
}

TokenId choose(const std::vector<float>& logits, const Sampling& s,
               const std::vector<TokenId>& ids = {}, std::uint32_t prompt_tokens = 0,
               const std::vector<TokenId>& banned = {}, std::uint32_t index = 0) {
  return choose_token(logits, s, ids, prompt_tokens, index, banned);
}

// The ids that ever come, over many draws.
std::map<TokenId, int> drawn(const std::vector<float>& logits, const Sampling& s,
                             int draws = 4000) {
  std::map<TokenId, int> counts;
  for (int i = 0; i < draws; ++i) ++counts[choose(logits, s, {}, 0, {}, i)];
  return counts;
}

std::vector<float> noise(std::size_t n, std::uint64_t seed, float scale = 3) {
  std::vector<float> logits(n);
  for (std::size_t i = 0; i < n; ++i) {
    logits[i] = scale * static_cast<float>(philox_uniform(seed, 1, i) + philox_uniform(seed, 2, i) +
                                           philox_uniform(seed, 3, i) - 1.5);
  }
  return logits;
}

TEST(Exp, MatchesTheTrueValueAndItsBitsAreFixed) {
  std::uint64_t hash = 0;
  for (int i = 0; i <= 70000; ++i) {
    const double x = -i * 0.01;
    const double y = exp_nonpositive(x);
    EXPECT_NEAR(y / std::exp(x), 1.0, 5e-16) << x;
    ASSERT_EQ(exp_nonpositive(TwoDoubles{-1, x})[1], y) << x;
    hash = hash * 0x9E3779B97F4A7C15u + std::bit_cast<std::uint64_t>(y);
  }
  EXPECT_EQ(hash, 366656923339575788u);
  EXPECT_EQ(exp_nonpositive(0), 1.0);
  EXPECT_EQ(exp_nonpositive(-701), 0.0);
  EXPECT_EQ(exp_nonpositive(-std::numeric_limits<double>::infinity()), 0.0);
  EXPECT_EQ(exp_nonpositive(std::numeric_limits<double>::quiet_NaN()), 0.0);
}

TEST(Sampler, GreedyTakesTheLargestThenTheSmallerId) {
  EXPECT_EQ(choose({1, 3, 2}, greedy()), 1);
  EXPECT_EQ(choose({1, 3, 2, 3, 0, 0, 0, 0, 0, 3}, greedy()), 1);
  EXPECT_EQ(choose({-5, -4, -6}, greedy()), 1);
}

TEST(Sampler, NanAndInfinityHaveADefinedOutcome) {
  EXPECT_EQ(choose({nan_logit, 1, nan_logit}, greedy()), 1);
  EXPECT_EQ(choose({nan_logit, nan_logit, nan_logit}, greedy()), 0);
  EXPECT_EQ(choose({-inf, -inf}, greedy(), {}, 0, {0}), 1);
  EXPECT_EQ(choose({nan_logit, nan_logit}, Sampling{}, {}, 0, {0, 1}), 0);
  EXPECT_EQ(choose({1, inf, 2}, greedy()), 1);
  const auto counts = drawn({nan_logit, inf, 5, inf, -inf}, Sampling{});
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_GT(counts.at(1), 1800);
  EXPECT_GT(counts.at(3), 1800);
}

TEST(Sampler, BannedIdsNeverCome) {
  EXPECT_EQ(choose({1, 9, 2}, greedy(), {}, 0, {1}), 2);
  EXPECT_EQ(choose({1, 9, 2}, greedy(), {}, 0, {1, 2, 77, -4}), 0);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(choose({1, 9, 2}, Sampling{}, {}, 0, {0, 1}, i), 2);
}

TEST(Sampler, RepetitionPenaltyCountsPromptAndAnswerOnce) {
  Sampling s = greedy();
  s.repetition_penalty = 2;
  EXPECT_EQ(choose({10, 6, 4}, s, {0}, 1), 1);        // 10 / 2 < 6
  EXPECT_EQ(choose({10, 6, 4}, s, {0, 0, 0}, 1), 1);  // once, however often
  EXPECT_EQ(choose({10, 4.9f, 4}, s, {0, 0}, 1), 0);  // 5 > 4.9: not divided twice
  EXPECT_EQ(choose({-1, -1.5f, -9}, s, {0}, 0), 1);   // negative logits are multiplied
}

TEST(Sampler, PresenceAndFrequencyPenaltiesCountTheAnswerOnly) {
  Sampling s = greedy();
  s.presence_penalty = 1;
  EXPECT_EQ(choose({3, 2.5f}, s, {0, 0}, 2), 0);
  EXPECT_EQ(choose({3, 2.5f}, s, {0, 0}, 1), 1);
  EXPECT_EQ(choose({3, 1.9f}, s, {0, 0, 0}, 0), 0);  // once, however often
  s.presence_penalty = 0;
  s.frequency_penalty = 0.3f;
  EXPECT_EQ(choose({3, 2.5f}, s, {0, 0}, 1), 0);
  EXPECT_EQ(choose({3, 2.5f}, s, {0, 0}, 0), 1);  // 0.6
}

TEST(Sampler, LogitBiasComesBeforeRepetition) {
  Sampling s = greedy();
  s.logit_bias = {{1, 4.0f}, {99, 100.0f}, {-1, 100.0f}};
  EXPECT_EQ(choose({3, 0}, s), 1);
  s.repetition_penalty = 2;  // (0 + 4) / 2 = 2 < 3; bias after it would give 4
  EXPECT_EQ(choose({3, 0}, s, {1}, 1), 0);
}

TEST(Sampler, DrawsFollowTheProbabilities) {
  const std::vector<float> logits{0, std::log(2.0f), std::log(5.0f)};
  const auto counts = drawn(logits, Sampling{}, 16000);
  EXPECT_NEAR(counts.at(0), 2000, 200);
  EXPECT_NEAR(counts.at(1), 4000, 250);
  EXPECT_NEAR(counts.at(2), 10000, 300);
}

TEST(Sampler, TemperatureFlattens) {
  Sampling s;
  s.temperature = 1e6f;
  const auto flat = drawn({0, 5}, s);
  EXPECT_NEAR(flat.at(0), 2000, 150);
  s.temperature = 1e-30f;
  EXPECT_EQ(drawn({0, 1e-3f}, s).size(), 1u);
}

TEST(Sampler, TopKKeepsExactlyKByLogitThenId) {
  Sampling s;
  s.top_k = 2;
  const auto counts = drawn({1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 2}, s);
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_TRUE(counts.contains(1) && counts.contains(2));
  s.top_k = 1;
  EXPECT_EQ(drawn(noise(500, 4), s).size(), 1u);
}

TEST(Sampler, TopPKeepsTheFewestThatHoldIt) {
  Sampling s;
  const std::vector<float> logits{std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  s.top_p = 0.75f;
  EXPECT_EQ(drawn(logits, s).size(), 2u);
  s.top_p = 0.4f;
  EXPECT_EQ(drawn(logits, s).size(), 1u);
  s.top_p = 0.0f;
  EXPECT_EQ(drawn(logits, s).size(), 1u);
  s.top_p = 0.85f;
  EXPECT_EQ(drawn(logits, s).size(), 3u);
}

TEST(Sampler, MinPIsAgainstTheMostLikely) {
  Sampling s;
  s.min_p = 0.5f;
  const std::vector<float> logits{std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  EXPECT_EQ(drawn(logits, s).size(), 2u);  // 0.2 < 0.5 · 0.5 <= 0.3
  s.min_p = 1.0f;
  EXPECT_EQ(drawn(logits, s).size(), 1u);
}

// The order shows in top_p, which is a share of what the others left.
TEST(Sampler, TopPComesAfterTopKAndMinP) {
  const std::vector<float> logits{std::log(0.4f), std::log(0.3f), std::log(0.2f), std::log(0.1f)};
  Sampling s;
  s.top_p = 0.55f;
  EXPECT_EQ(drawn(logits, s).size(), 2u);  // 0.4 < 0.55
  s.top_k = 2;                             // 0.4 of 0.7 is 0.571 >= 0.55
  EXPECT_EQ(drawn(logits, s).size(), 1u);
  s.top_k = 0;
  s.min_p = 0.6f;
  EXPECT_EQ(drawn(logits, s).size(), 1u);
  s.temperature = 2;  // min_p after temperature: sqrt(0.2 / 0.4) = 0.71 stays, 0.5 falls
  EXPECT_EQ(drawn(logits, s).size(), 2u);
}

// One answer by sorting everything, in long double: what the fast one must find.
TokenId naive(const std::vector<float>& logits, const Sampling& s, std::uint32_t index) {
  std::vector<TokenId> order(logits.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<TokenId>(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](TokenId a, TokenId b) { return logits[a] > logits[b]; });
  if (s.top_k != 0 && s.top_k < order.size()) order.resize(s.top_k);
  std::vector<long double> weight;
  long double mass = 0;
  for (const TokenId id : order) {
    const long double w =
        std::exp((static_cast<long double>(logits[id]) - logits[order[0]]) / s.temperature);
    if (w < s.min_p) break;
    weight.push_back(w);
    mass += w;
  }
  long double sum = 0;
  std::size_t kept = 0;
  while (kept < weight.size() && (kept == 0 || s.top_p >= 1 || sum < s.top_p * mass)) {
    sum += weight[kept++];
  }
  const long double place = philox_uniform(s.seed, s.choice, index) * sum;
  long double running = 0;
  for (std::size_t i = 0; i < kept; ++i) {
    if ((running += weight[i]) > place) return order[i];
  }
  return order[kept - 1];
}

TEST(Sampler, AgreesWithTheNaiveOneOnRandomSettings) {
  const std::uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  const auto one_of = [&](auto... values) {
    const std::vector<double> all{static_cast<double>(values)...};
    return all[random() % all.size()];
  };
  SamplerScratch scratch;  // of all rounds
  for (int round = 0; round < 1500; ++round) {
    std::vector<float> logits = noise(1 + random() % 700, random(), one_of(0.1, 3, 20));
    if (random() % 2) {
      for (float& l : logits) l = std::round(l);  // ties
    }
    Sampling s;
    s.seed = random();
    s.choice = random() % 3;
    s.temperature = one_of(0.05, 0.7, 1, 2, 50);
    s.top_k = one_of(0, 0, 1, 2, 7, 40, 5000);
    s.top_p = one_of(1, 1, 0.1, 0.5, 0.95, 0.999);
    s.min_p = one_of(0, 0, 0.01, 0.2, 1);
    const std::uint32_t index = random() % 1000;
    const TokenId expected = naive(logits, s, index);
    for (const LogitKernels* kernels : available_logit_kernels()) {
      ASSERT_EQ(choose_token(logits, s, {}, 0, index, {}, scratch, *kernels), expected)
          << kernels->name << " seed " << seed << " round " << round;
    }
  }
}

// Peaks over a deep tail as a model's, with ties and impossible ids: many bands, many blocks, and a
// tail whose estimate often leaves the end of the nucleus open.
TEST(Sampler, AgreesWithTheNaiveOneOnLargeVocabularies) {
  const std::uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  SamplerScratch scratch;  // of all rounds
  for (int round = 0; round < 120; ++round) {
    std::vector<float> logits = noise(1000 + random() % 40000, random(), 8);
    const float grain = round % 2 ? 0.25f : 1e-5f;
    for (float& l : logits) l = random() % 20 ? std::round(l / grain) * grain : -inf;
    logits[random() % logits.size()] += static_cast<float>(random() % 12);
    Sampling s;
    s.seed = random();
    s.temperature = round % 5 ? 1.0f : 0.6f + 0.1f * (random() % 9);
    s.top_p = round % 4 ? 0.5f + 0.4999f * static_cast<float>(random() % 1000) / 1000 : 1;
    s.top_k = round % 7 ? 0 : 40;
    s.min_p = round % 11 ? 0 : 1e-5f;
    const TokenId expected = naive(logits, s, round);
    for (const LogitKernels* kernels : available_logit_kernels()) {
      ASSERT_EQ(choose_token(logits, s, {}, 0, round, {}, scratch, *kernels), expected)
          << kernels->name << " seed " << seed << " round " << round;
    }
  }
}

TEST(Sampler, NothingIsLeftOfOneTokenInTheNext) {
  const std::uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  SamplerScratch scratch;
  for (int round = 0; round < 400; ++round) {
    std::vector<float> logits = noise(10 + random() % 3000, random());
    if (random() % 8 == 0) logits[random() % logits.size()] = random() % 2 ? inf : nan_logit;
    std::vector<TokenId> ids;
    for (std::size_t i = random() % 300; i > 0; --i) {
      ids.push_back(static_cast<TokenId>(random() % (logits.size() + 5)) - 2);
    }
    Sampling s;
    s.seed = random();
    s.temperature = random() % 4 ? 1.0f : 0.0f;
    s.top_p = random() % 2 ? 0.9f : 1.0f;
    s.top_k = random() % 3 ? 0 : 30;
    s.repetition_penalty = random() % 3 ? 1.0f : 1.3f;
    s.frequency_penalty = random() % 3 ? 0.0f : 0.4f;
    if (random() % 4 == 0) s.logit_bias = {{3, 5.0f}, {4, -5.0f}};
    const auto prompt = static_cast<std::uint32_t>(random() % (ids.size() + 1));
    const std::vector<TokenId> banned(random() % 3, 1);
    ASSERT_EQ(choose_token(logits, s, ids, prompt, round, banned, scratch),
              choose_token(logits, s, ids, prompt, round, banned))
        << "seed " << seed << " round " << round;
  }
}

// Fixed for ever: answers recorded anywhere must come again from every later build and machine.
TEST(Sampler, TheBitsAreFixed) {
  std::uint64_t hash = 0;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    Sampling s;
    s.seed = 7;
    s.temperature = 0.3f + 0.01f * (i % 200);
    s.top_p = i % 3 == 0 ? 0.9f : 1.0f;
    s.top_k = i % 5 == 0 ? 20 : 0;
    const auto logits = noise(1003, i);
    hash = hash * 0x9E3779B97F4A7C15u + static_cast<std::uint64_t>(choose(logits, s, {}, 0, {}, i));
  }
  EXPECT_EQ(hash, 15576779124507823144u);
}

}  // namespace
}  // namespace aorta::engine
