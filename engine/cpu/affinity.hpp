#pragma once
// Which CPUs threads run on. A thread's set is only ever narrowed, and given back.
#include <sched.h>

#include <vector>

namespace aorta::engine::cpu {

// Those that this thread may run on (taskset, cpusets), ascending; empty if the system won't say.
std::vector<int> allowed_cpus();

// Keeps the calling thread on one CPU for as long as it lives; a negative one leaves it alone, and
// so does a system that refuses.
class PinnedThread {
 public:
  explicit PinnedThread(int cpu);
  ~PinnedThread();
  PinnedThread(const PinnedThread&) = delete;
  PinnedThread& operator=(const PinnedThread&) = delete;

 private:
  cpu_set_t before_ = {};
  bool pinned_ = false;
};

}  // namespace aorta::engine::cpu
