#include "engine/cpu/thread_pool.hpp"

#include <immintrin.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "engine/cpu/float_environment.hpp"

namespace aorta::engine::cpu {
namespace {

constexpr auto spin_time = std::chrono::microseconds(20);

// Returns when `word` is no longer `old`.
void wait_while(const std::atomic<std::uint32_t>& word, std::uint32_t old) {
  const auto until = std::chrono::steady_clock::now() + spin_time;
  do {
    for (int i = 0; i < 32; ++i) {
      if (word.load(std::memory_order_acquire) != old) return;
      _mm_pause();
    }
  } while (std::chrono::steady_clock::now() < until);
  word.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(std::uint32_t threads) : cpus_(allowed_cpus()) {
  if (cpus_.size() != threads || threads == 1) cpus_.clear();
  // Thread 0 has most to do: not on the same CPU in every process.
  if (!cpus_.empty()) std::rotate(cpus_.begin(), cpus_.begin() + getpid() % threads, cpus_.end());
  for (std::uint32_t i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
  quit_ = true;
  started_.fetch_add(1, std::memory_order_release);
  started_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run_erased(Call call, const void* job) {
  call_ = call;
  job_ = job;
  running_.store(static_cast<std::uint32_t>(workers_.size()), std::memory_order_relaxed);
  started_.fetch_add(1, std::memory_order_release);
  started_.notify_all();
  call(job, 0);
  for (std::uint32_t left; (left = running_.load(std::memory_order_acquire)) != 0;) {
    wait_while(running_, left);
  }
}

void ThreadPool::work(std::uint32_t thread) {
  const FloatEnvironment environment;
  const PinnedThread pinned(cpu_of(thread));
  for (std::uint32_t seen = 0;; ++seen) {
    wait_while(started_, seen);
    if (quit_) return;
    call_(job_, thread);
    if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_one();
  }
}

}  // namespace aorta::engine::cpu
