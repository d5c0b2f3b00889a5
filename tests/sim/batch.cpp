#include "tests/sim/batch.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

namespace aorta::sim {
namespace {

using Clock = std::chrono::steady_clock;

thread_local std::uint64_t running_seed = 0;

// A core's own assertion ends the process: whose seed that was must not be lost.
void tell_seed(int signal) {
  char line[64];
  const int length = std::snprintf(line, sizeof line, "\nseed %llu ended in signal %d\n",
                                   static_cast<unsigned long long>(running_seed), signal);
  [[maybe_unused]] const auto written =
      write(STDERR_FILENO, line, static_cast<std::size_t>(length));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

class Batch {
 public:
  explicit Batch(const BatchOptions& options) : options_(options), next_(options.base) {}

  BatchResult run() {
    for (const int signal : {SIGABRT, SIGSEGV}) std::signal(signal, tell_seed);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < options_.jobs; ++i) threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
    result_.seconds = elapsed();
    return std::move(result_);
  }

 private:
  double elapsed() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

  void work() {
    Tally tally;
    while (!stop_) {
      const std::uint64_t seed = next_++;
      if (seed - options_.base >= options_.seeds) break;
      if (options_.at_most_s > 0 && elapsed() >= options_.at_most_s) break;
      running_seed = seed;
      World world(seed, options_.world);
      world.run();
      tally.add(world.tally());
      if (!world.violation().empty()) fail({seed, world.violation()});
    }
    const std::lock_guard lock(mutex_);
    result_.tally.add(tally);
  }

  void fail(Failure failure) {
    stop_ = true;
    const std::lock_guard lock(mutex_);
    if (!result_.failure || failure.seed < result_.failure->seed) result_.failure = failure;
  }

  BatchOptions options_;
  std::atomic<std::uint64_t> next_;
  std::atomic<bool> stop_ = false;
  const Clock::time_point began_ = Clock::now();
  std::mutex mutex_;
  BatchResult result_;
};

// In a process of its own, since a core's assertion ends it.
bool fails(std::uint64_t seed, const WorldOptions& options) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(0);
    World world(seed, options);
    world.run();
    _exit(world.violation().empty() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

}  // namespace

BatchResult run_batch(const BatchOptions& options) { return Batch(options).run(); }

std::string summary(const BatchResult& result) {
  const Tally& t = result.tally;
  const double seeds = static_cast<double>(std::max<std::uint64_t>(1, t.seeds));
  std::string text = fmt::format("{} seeds in {:.1f} s: {:.0f} a minute\n", t.seeds, result.seconds,
                                 seeds / std::max(result.seconds, 1e-9) * 60);
  const auto line = [&](const char* what, std::uint64_t count) {
    text += fmt::format("{:12} {:12}  {:9.1f} a seed\n", what, count,
                        static_cast<double>(count) / seeds);
  };
  line("events", t.events);
  line("messages", t.messages);
  line("faults", t.faults);
  line("requests", t.requests);
  line("tokens", t.tokens);
  line("epochs", t.epochs);
  line("checks", t.checks);
  line("virtual ms", t.virtual_ms);
  line("cached", t.cached);
  line("fetched", t.fetched);
  line("drafted", t.drafted);
  line("drafts kept", t.drafts_kept);
  text += "ends:";
  for (const auto& [outcome, count] : t.outcomes) text += fmt::format(" {} {},", count, outcome);
  text.back() = '\n';
  return text + t.coverage.table();
}

Shrunk shrink(std::uint64_t seed, WorldOptions options) {
  const World whole(seed, options);
  const int faults = whole.faults_planned(), clients = whole.clients_planned();
  const auto try_without = [&](std::set<int>& without, int count) {
    for (int i = 0; i < count; ++i) {
      if (!without.insert(i).second) continue;
      if (!fails(seed, options)) without.erase(i);
    }
  };
  for (int round = 0; round < 2; ++round) {  // what one needs may be needless without another
    try_without(options.without_faults, faults);
    try_without(options.without_clients, clients);
  }
  return {options, faults - static_cast<int>(options.without_faults.size()),
          clients - static_cast<int>(options.without_clients.size())};
}

}  // namespace aorta::sim
