#pragma once
// Many seeds on several threads; and one that fails, made smaller.
#include <cstdint>
#include <optional>
#include <string>

#include "tests/sim/world.hpp"

namespace aorta::sim {

struct BatchOptions {
  std::uint64_t base = 1;
  std::uint64_t seeds = 1;
  double at_most_s = 0;  // 0: as long as the seeds take; else seeds are only a limit
  unsigned jobs = 1;
  WorldOptions world;
};

struct Failure {
  std::uint64_t seed = 0;
  std::string violation;
};

struct BatchResult {
  Tally tally;
  std::optional<Failure> failure;  // of the first seed that failed; the batch ends with it
  double seconds = 0;
};

BatchResult run_batch(const BatchOptions& options);
// Seeds, events, faults and epochs, in all and of each seed; outcomes; the coverage table.
std::string summary(const BatchResult& result);

// A failing seed without the faults and clients that it does not need to fail.
struct Shrunk {
  WorldOptions options;
  int faults = 0, clients = 0;  // that are left
};
Shrunk shrink(std::uint64_t seed, WorldOptions options);

}  // namespace aorta::sim
