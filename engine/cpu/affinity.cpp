#include "engine/cpu/affinity.hpp"

namespace aorta::engine::cpu {

std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
  }
  return cpus;
}

PinnedThread::PinnedThread(int cpu) {
  if (cpu < 0 || sched_getaffinity(0, sizeof(before_), &before_) != 0) return;
  if (!CPU_ISSET(cpu, &before_)) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  pinned_ = sched_setaffinity(0, sizeof(one), &one) == 0;
}

PinnedThread::~PinnedThread() {
  if (pinned_) sched_setaffinity(0, sizeof(before_), &before_);
}

}  // namespace aorta::engine::cpu
