#pragma once
// Fork and join over a fixed set of threads; the caller is thread 0. Between jobs a thread spins
// for about 20 µs, since the next job of a step usually comes sooner, and then sleeps in the
// kernel, so that an idle engine costs nothing.
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace aorta::engine::cpu {

class ThreadPool {
 public:
  explicit ThreadPool(std::uint32_t threads);  // at least 1
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::uint32_t size() const { return static_cast<std::uint32_t>(workers_.size()) + 1; }

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

  std::vector<std::thread> workers_;
  Call call_ = nullptr;
  const void* job_ = nullptr;
  bool quit_ = false;
  alignas(64) std::atomic<std::uint32_t> started_{0};  // jobs begun
  alignas(64) std::atomic<std::uint32_t> running_{0};  // workers that have not finished this job
};

}  // namespace aorta::engine::cpu
