// Whole meshes from fresh seeds, those that once found a bug, and the simulator's own promises.
//
//   AORTA_SIM_SEEDS=N     how many fresh seeds (default 300)
//   AORTA_SIM_BASE=B      the first of them (default: random, printed)
//
// A seed that fails is told line by line by tools/sim --seed S --trace.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "tests/sim/batch.hpp"

namespace aorta::sim {
namespace {

std::optional<std::uint64_t> number_from(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

void expect_well(std::uint64_t seed, const WorldOptions& options = {}) {
  World world(seed, options);
  world.run();
  EXPECT_EQ(world.violation(), "") << "tools/sim --seed " << seed << " --trace --shrink";
}

TEST(Simulator, FreshSeeds) {
  BatchOptions options;
  options.seeds = number_from("AORTA_SIM_SEEDS").value_or(300);
  options.base = number_from("AORTA_SIM_BASE").value_or(std::random_device{}());
  options.jobs = std::max(1u, std::thread::hardware_concurrency());
  fmt::print("base seed {}\n", options.base);
  const BatchResult result = run_batch(options);
  fmt::print("{}", summary(result));
  if (result.tally.seeds >= 100) {
    EXPECT_GT(result.tally.cached, result.tally.fetched) << "prefixes are found";
    EXPECT_GT(result.tally.fetched, 0u) << "also those of executors that died";
    EXPECT_GT(result.tally.drafts_kept, 0u) << "and tokens guessed ahead";
  }
  if (result.failure) {
    ADD_FAILURE() << "seed " << result.failure->seed << ": " << result.failure->violation
                  << "\n  tools/sim --seed " << result.failure->seed << " --trace --shrink";
  }
}

struct Offender {
  std::uint64_t seed;
  const char* found;
};

TEST(Simulator, SeedsThatFoundBugs) {
  constexpr Offender offenders[] = {
      {17, "a restarted admission that nobody greeted"},
      {243, "a lost tail that was not sent again while acks came for others"},
      {557, "the same"},
      {2469295159, "a request found on a stalled executor after the scheduler had restarted"},
  };
  for (const Offender& offender : offenders) {
    SCOPED_TRACE(offender.found);
    expect_well(offender.seed);
  }
}

TEST(Simulator, NoFaultsNoSecondEpoch) {
  WorldOptions options;
  options.faults = options.faults.scaled(0);
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
  options.trace = true;
  for (std::uint64_t seed = 42; seed < 47; ++seed) {
    World first(seed, options), second(seed, options);
    first.run();
    second.run();
    EXPECT_EQ(first.story(), second.story());
    EXPECT_EQ(first.tally().events, second.tally().events);
  }
}

// Each of these must happen in any few hundred seeds, or the simulator has grown tame.
TEST(Simulator, FaultsHaveTheirEffects) {
  BatchOptions options;
  options.seeds = 200;
  options.jobs = std::max(1u, std::thread::hardware_concurrency());
  const BatchResult result = run_batch(options);
  const Tally& tally = result.tally;
  EXPECT_FALSE(result.failure);
  EXPECT_EQ(tally.coverage.times.size(), 25);
  for (const char* end : {"stop", "length", "cancelled", "vanished", "cut", "failed poison"}) {
    EXPECT_TRUE(tally.outcomes.contains(end)) << end;
  }
  EXPECT_GT(tally.epochs, tally.requests) << "nothing was moved";
}

}  // namespace
}  // namespace aorta::sim
