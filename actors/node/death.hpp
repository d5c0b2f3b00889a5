#pragma once
// Why a child died, in the words of the mesh, and whether its engine is to blame.
#include <cstdint>
#include <string>

namespace aorta::node {

struct Death {
  std::int32_t exit_code = 0;  // minus the signal when a signal killed it
  std::string cause;           // "SIGKILL", "exit code 70", "out of memory (SIGKILL)"
  bool counted = false;        // a crash of its own: requests on board are suspected
};

// `wait_status` as waitpid() gives it; `oom_kill`: the cgroup's count of such kills rose with it.
// Counted are SIGSEGV, ABRT, BUS, ILL, FPE, a SIGKILL for want of memory, and exit codes of failure
// other than 75 (try again) and 78 (superseded or bad configuration).
Death explain_death(int wait_status, bool oom_kill);

}  // namespace aorta::node
