// What each instruction set does to a vocabulary: the same bits, and an estimate within its bound.
#include "engine/batch/logit_kernels.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "engine/batch/exp.hpp"
#include "tests/engine/batch/test_seed.hpp"

namespace aorta::engine {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();

std::vector<float> logits_of(std::mt19937_64& random) {
  std::normal_distribution<float> noise(static_cast<float>(random() % 60) - 30, 1 + random() % 9);
  std::vector<float> logits(1 + random() % logit_chunk);
  for (float& logit : logits) {
    logit = random() % 50 == 0 ? -inf : noise(random);
    if (random() % 50 == 0) logit = std::numeric_limits<float>::quiet_NaN();
  }
  return logits;
}

float largest_of(const std::vector<float>& logits) {
  float largest = -inf;
  for (const float logit : logits) largest = logit > largest ? logit : largest;
  return largest;
}

TEST(LogitKernels, GiveTheSameBitsOnEachInstructionSet) {
  const std::uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; ++round) {
    const std::vector<float> logits = logits_of(random);
    const float largest = std::max(largest_of(logits), -1e30f);
    const double min_p = round % 3 == 0 ? 1e-4 : 0;
    const Weighing weighing{largest, 1 / (0.1 + 0.01 * static_cast<double>(random() % 200)), min_p};

    double lanes[8] = {};
    std::vector<double> expected;
    std::vector<std::uint32_t> between;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double weight =
          exp_nonpositive((logits[i] - weighing.largest) * weighing.inverse_temperature);
      expected.push_back(weight >= min_p ? weight : 0);
      lanes[i % 8] += expected.back();
      if (logits[i] >= largest - 5 && logits[i] < largest - 1) between.push_back(i);
    }
    const double mass = ((lanes[0] + lanes[2]) + (lanes[4] + lanes[6])) +
                        ((lanes[1] + lanes[3]) + (lanes[5] + lanes[7]));
    for (const LogitKernels* kernels : available_logit_kernels()) {
      SCOPED_TRACE(testing::Message() << kernels->name << " seed " << seed << " round " << round);
      std::vector<float> maxima((logits.size() + logit_block - 1) / logit_block);
      kernels->block_maxima(logits, maxima.data());
      ASSERT_EQ(*std::max_element(maxima.begin(), maxima.end()), largest_of(logits));
      ASSERT_EQ(std::bit_cast<std::uint64_t>(kernels->mass(logits, weighing)),
                std::bit_cast<std::uint64_t>(mass));
      std::vector<double> weights(logits.size());
      kernels->weigh(logits, weighing, weights.data());
      ASSERT_EQ(weights, expected);
      std::vector<std::uint32_t> indices(logits.size());
      indices.resize(kernels->collect(logits, largest - 5, largest - 1, indices.data()));
      ASSERT_EQ(indices, between);
    }
  }
}

TEST(LogitKernels, SplitIsWithinItsBound) {
  const std::uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; ++round) {
    const std::vector<float> logits = logits_of(random);
    const float largest = std::max(largest_of(logits), -1e30f);
    const double temperature = std::vector{0.01, 0.3, 1.0, 2.0, 100.0}[random() % 5];
    const auto bar = static_cast<float>(largest - 8 * temperature);
    const double log2_scale = 1.4426950408889634 / temperature;
    const auto high = static_cast<float>(log2_scale);
    const TailWeighing tail{largest, bar, static_cast<float>(-80 * temperature), high,
                            static_cast<float>(log2_scale - high)};
    long double expected = 0;
    std::vector<std::uint32_t> above;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (logits[i] >= bar) above.push_back(i);
      if (!(logits[i] < bar)) continue;
      expected += std::exp((static_cast<long double>(logits[i]) - largest) / temperature);
    }
    for (const LogitKernels* kernels : available_logit_kernels()) {
      SCOPED_TRACE(testing::Message() << kernels->name << " seed " << seed << " round " << round);
      std::vector<std::uint32_t> indices(logits.size());
      const Split found = kernels->split(logits, tail, indices.data());
      indices.resize(found.at_or_above);
      ASSERT_EQ(indices, above);
      ASSERT_NEAR(found.tail, expected, split_error * expected + 1e-13 * logits.size());
    }
  }
}

}  // namespace
}  // namespace aorta::engine
