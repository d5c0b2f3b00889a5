// The simulator for people: see tools/sim.
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <random>
#include <string_view>
#include <thread>

#include "tests/sim/batch.hpp"

namespace {

using namespace aorta::sim;

constexpr const char* usage = R"(Simulates whole meshes under faults; a seed decides everything.

  tools/sim --seeds N [--base B]   N seeds from B on (default: drawn, and printed)
  tools/sim --soak SECONDS         as many as that time allows
  tools/sim --seed S               one
       --trace                     and its story: time, who, what
       --shrink                    without the faults and clients that it does not need to fail
       --without-faults I,J,…  --without-clients I,J,…   as --shrink found them
  --jobs J                         threads (default: all processors)
)";

struct Arguments {
  BatchOptions batch;
  std::optional<std::uint64_t> base, seed;
  bool trace = false, shrink = false;
};

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool read_list(std::string_view text, std::set<int>& list) {
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const auto value = number(text.substr(0, comma));
    if (!value) return false;
    list.insert(static_cast<int>(*value));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return true;
}

bool read_option(std::string_view name, std::string_view text, Arguments& arguments) {
  WorldOptions& world = arguments.batch.world;
  if (name == "--without-faults") return read_list(text, world.without_faults);
  if (name == "--without-clients") return read_list(text, world.without_clients);
  const auto value = number(text);
  if (!value) return false;
  if (name == "--seeds") {
    arguments.batch.seeds = *value;
  } else if (name == "--base") {
    arguments.base = *value;
  } else if (name == "--seed") {
    arguments.seed = *value;
  } else if (name == "--soak") {
    arguments.batch.at_most_s = static_cast<double>(*value);
    arguments.batch.seeds = ~0ull >> 1;
  } else if (name == "--jobs") {
    arguments.batch.jobs = static_cast<unsigned>(*value);
  } else {
    return false;
  }
  return true;
}

bool read_arguments(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--trace") {
      arguments.trace = true;
    } else if (name == "--shrink") {
      arguments.shrink = true;
    } else if (i + 1 == argc || !read_option(name, argv[++i], arguments)) {
      return false;
    }
  }
  return argc > 1;
}

std::string joined(const std::set<int>& list) { return fmt::format("{}", fmt::join(list, ",")); }

int run_one(std::uint64_t seed, const Arguments& arguments) {
  WorldOptions options = arguments.batch.world;
  if (arguments.shrink) {
    const Shrunk shrunk = shrink(seed, options);
    options = shrunk.options;
    fmt::print("{} faults and {} clients are left: tools/sim --seed {} --trace --without-faults {} "
               "--without-clients {}\n",
               shrunk.faults, shrunk.clients, seed, joined(options.without_faults),
               joined(options.without_clients));
    std::fflush(stdout);
  }
  options.trace = arguments.trace;
  World world(seed, options);
  world.run();
  fmt::print("{}", world.story());
  if (world.violation().empty()) {
    fmt::print("seed {} holds\n", seed);
    return 0;
  }
  fmt::print("seed {} FAILS: {}\n", seed, world.violation());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  arguments.batch.jobs = std::max(1u, std::thread::hardware_concurrency());
  if (!read_arguments(argc, argv, arguments)) {
    fmt::print("{}", usage);
    return argc == 2 && std::string_view(argv[1]) == "--help" ? 0 : 2;
  }
  if (arguments.seed) return run_one(*arguments.seed, arguments);
  arguments.batch.base = arguments.base.value_or(std::random_device{}());
  fmt::print("base seed {}\n", arguments.batch.base);
  std::fflush(stdout);
  const BatchResult result = run_batch(arguments.batch);
  fmt::print("{}", summary(result));
  if (!result.failure) return 0;
  fmt::print("seed {} FAILS: {}\n  tools/sim --seed {} --trace --shrink\n", result.failure->seed,
             result.failure->violation, result.failure->seed);
  return 1;
}
