// The pool: every thread once per job, all done before run() returns, in one float environment.
#include "engine/cpu/thread_pool.hpp"

#include <gtest/gtest.h>

#include <xmmintrin.h>
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

}  // namespace
}  // namespace aorta::engine::cpu
