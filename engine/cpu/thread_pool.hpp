#pragma once
// Fork and join over a fixed set of threads; the caller is thread 0. Between jobs a thread spins
// for about 20 µs, since the next job of a step usually comes sooner, and then sleeps in the
// kernel, so that an idle engine costs nothing.
//
// A pool of as many threads as CPUs that its maker may run on has each on one of its own: under
// load the kernel would put two of them on one CPU, where both wait for the other. A smaller pool
// can't know which CPUs others leave free, so the kernel chooses.
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "engine/cpu/affinity.hpp"

namespace aorta::engine::cpu {

class ThreadPool {
 public:
  explicit ThreadPool(std::uint32_t threads);  // at least 1
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::uint32_t size() const { return static_cast<std::uint32_t>(workers_.size()) + 1; }

  // Keeps the caller on thread 0's CPU for a while: for a step, not for each of its jobs.
  [[nodiscard]] PinnedThread pin_caller() const { return PinnedThread(cpu_of(0)); }

  // Calls job(thread) once for each thread 0..size-1, at the same time, and returns when all have
  // returned. Only one caller at a time; a job does not call run().
  template <class Job>
  void run(const Job& job) {
    if (workers_.empty()) return job(0u);
    run_erased([](const void* j, std::uint32_t thread) { (*static_cast<const Job*>(j))(thread); },
               &job);
  }

 private:
  using Call = void (*)(const void* job, std::uint32_t thread);

  void run_erased(Call call, const void* job);
  void work(std::uint32_t thread);
  int cpu_of(std::uint32_t thread) const { return cpus_.empty() ? -1 : cpus_[thread]; }

  std::vector<int> cpus_;  // by thread; empty: the kernel chooses
  std::vector<std::thread> workers_;
  Call call_ = nullptr;
  const void* job_ = nullptr;
  bool quit_ = false;
  alignas(64) std::atomic<std::uint32_t> started_{0};  // jobs begun
  alignas(64) std::atomic<std::uint32_t> running_{0};  // workers that have not finished this job
};

}  // namespace aorta::engine::cpu
