// The pool: every thread once per job, all done before run() returns, in one float environment.
#include "engine/cpu/thread_pool.hpp"

#include <gtest/gtest.h>

#include <xmmintrin.h>
#include <algorithm>
#include <atomic>
#include <vector>

#include "engine/cpu/float_environment.hpp"

namespace aorta::engine::cpu {
namespace {

TEST(ThreadPool, EveryThreadOncePerJob) {
  for (const std::uint32_t threads : {1u, 2u, 5u}) {
    ThreadPool pool(threads);
    ASSERT_EQ(pool.size(), threads);
    std::vector<std::uint64_t> calls(threads * 16);  // a cache line apart
    for (int job = 0; job < 2000; ++job) {
      pool.run([&](std::uint32_t thread) { ++calls[thread * 16]; });
      for (std::uint32_t t = 0; t < threads; ++t) ASSERT_EQ(calls[t * 16], job + 1u);
    }
  }
}

TEST(ThreadPool, WorkersRoundToNearestWhateverTheCallerDoes) {
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | _MM_ROUND_UP | _MM_FLUSH_ZERO_ON);
  std::atomic<unsigned> seen{0};
  {
    ThreadPool pool(2);
    pool.run([&](std::uint32_t thread) {
      if (thread == 1) seen = _mm_getcsr();
    });
    const FloatEnvironment environment;
    EXPECT_EQ(_mm_getcsr() & 0xffc0u, 0x1f80u);
  }
  EXPECT_EQ(_mm_getcsr() & 0xffc0u, (before | _MM_ROUND_UP | _MM_FLUSH_ZERO_ON) & 0xffc0u);
  _mm_setcsr(before);
  EXPECT_EQ(seen.load() & 0xffc0u, 0x1f80u);
}

// Where each thread of a pool may run.
std::vector<std::vector<int>> cpus_of_threads(ThreadPool& pool) {
  std::vector<std::vector<int>> cpus(pool.size());
  pool.run([&](std::uint32_t thread) { cpus[thread] = allowed_cpus(); });
  return cpus;
}

TEST(ThreadPool, AsManyThreadsAsCpusHaveOneEach) {
  const std::vector<int> allowed = allowed_cpus();
  if (allowed.size() < 2) GTEST_SKIP() << "one CPU";
  ThreadPool pool(static_cast<std::uint32_t>(allowed.size()));
  std::vector<int> taken;
  {
    const PinnedThread pinned = pool.pin_caller();
    for (const auto& cpus : cpus_of_threads(pool)) {
      ASSERT_EQ(cpus.size(), 1u);
      taken.push_back(cpus[0]);
    }
  }
  std::sort(taken.begin(), taken.end());
  EXPECT_EQ(taken, allowed);
  EXPECT_EQ(allowed_cpus(), allowed);  // given back
}

TEST(ThreadPool, FewerOrMoreThreadsAreLeftToTheKernel) {
  const std::vector<int> allowed = allowed_cpus();
  for (const std::size_t threads : {allowed.size() - 1, allowed.size() + 1}) {
    if (threads == 0) continue;
    ThreadPool pool(static_cast<std::uint32_t>(threads));
    const PinnedThread pinned = pool.pin_caller();
    for (const auto& cpus : cpus_of_threads(pool)) EXPECT_EQ(cpus, allowed);
  }
}

TEST(ThreadPool, NeverLeavesTheCpusOfItsMaker) {
  const std::vector<int> allowed = allowed_cpus();
  const PinnedThread confined(allowed.back());  // as taskset would
  ThreadPool pool(static_cast<std::uint32_t>(allowed.size()));
  const PinnedThread pinned = pool.pin_caller();
  for (const auto& cpus : cpus_of_threads(pool)) {
    EXPECT_EQ(cpus, std::vector<int>{allowed.back()});
  }
}

}  // namespace
}  // namespace aorta::engine::cpu
