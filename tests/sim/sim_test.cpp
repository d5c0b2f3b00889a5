// A few thousand meshes from fresh seeds, and those seeds that once found a bug.
//
//   AORTA_SIM_SEEDS=N     how many fresh seeds (default 300)
//   AORTA_SIM_BASE=B      the first of them (default: random, printed)
//   AORTA_SIM_SEED=S      only this one, told line by line
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tests/sim/world.hpp"

namespace aorta::sim {
namespace {

std::optional<std::uint64_t> number_from(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

Tally total;

void expect_well(std::uint64_t seed, WorldOptions options = {}) {
  World world(seed, options);
  world.run();
  EXPECT_EQ(world.violation(), "")
      << "replay with AORTA_SIM_SEED=" << seed << " test_sim --gtest_filter=*Seed*";
  const Tally& tally = world.tally();
  total.events += tally.events;
  total.faults += tally.faults;
  total.tokens += tally.tokens;
  total.epochs += tally.epochs;
  for (const auto& [outcome, count] : tally.outcomes) total.outcomes[outcome] += count;
  for (const auto& [kind, count] : tally.kinds) total.kinds[kind] += count;
}

TEST(Simulator, FreshSeeds) {
  if (number_from("AORTA_SIM_SEED")) GTEST_SKIP() << "one seed was asked for";
  const std::uint64_t count = number_from("AORTA_SIM_SEEDS").value_or(300);
  const std::uint64_t base = number_from("AORTA_SIM_BASE").value_or(std::random_device{}());
  fmt::print("seeds {} to {}\n", base, base + count - 1);
  total = {};
  for (std::uint64_t seed = base; seed < base + count && !testing::Test::HasFailure(); ++seed) {
    expect_well(seed);
  }
  fmt::print("{} seeds: {} events, {} faults, {} tokens delivered, {} epochs\n", count,
             total.events, total.faults, total.tokens, total.epochs);
  for (const auto& [kind, times] : total.kinds) fmt::print("  {:6} {}\n", times, kind);
  for (const auto& [outcome, times] : total.outcomes) fmt::print("  {:6} {}\n", times, outcome);
  EXPECT_GT(total.outcomes["stop"] + total.outcomes["length"], 0);
}

TEST(Simulator, SeedsThatFoundBugs) {
  if (number_from("AORTA_SIM_SEED")) GTEST_SKIP() << "one seed was asked for";
  for (const std::uint64_t seed : {1ull, 2ull, 3ull}) expect_well(seed);
}

TEST(Simulator, NoFaultsNoSecondEpoch) {
  WorldOptions options;
  options.faults = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    World world(seed, options);
    world.run();
    EXPECT_EQ(world.violation(), "") << "seed " << seed;
    for (const auto& [outcome, count] : world.tally().outcomes) {
      EXPECT_FALSE(outcome.starts_with("failed") || outcome.starts_with("rejected")) << outcome;
    }
  }
}

TEST(Simulator, OneSeedReplaysExactly) {
  WorldOptions options;
  World first(42, options), second(42, options);
  first.run();
  second.run();
  EXPECT_EQ(first.tally().events, second.tally().events);
  EXPECT_EQ(first.tally().outcomes, second.tally().outcomes);
  EXPECT_EQ(first.tally().tokens, second.tally().tokens);
}

TEST(Simulator, OneSeedTold) {
  const auto seed = number_from("AORTA_SIM_SEED");
  if (!seed) GTEST_SKIP() << "set AORTA_SIM_SEED to have one seed told line by line";
  WorldOptions options;
  options.trace = true;
  expect_well(*seed, options);
}

}  // namespace
}  // namespace aorta::sim
