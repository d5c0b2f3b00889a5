#include "actors/node/death.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>

namespace aorta::node {
namespace {

bool is_crash_signal(int signal) {
  return signal == SIGSEGV || signal == SIGABRT || signal == SIGBUS || signal == SIGILL ||
         signal == SIGFPE;
}

std::string signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  return name ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

}  // namespace

Death explain_death(int wait_status, bool oom_kill) {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    if (signal == SIGKILL && oom_kill) return {-signal, "out of memory (SIGKILL)", true};
    return {-signal, signal_name(signal), is_crash_signal(signal)};
  }
  const int code = WEXITSTATUS(wait_status);
  const bool counted = code != 0 && code != 75 && code != 78;
  return {code, fmt::format("exit code {}", code), counted};
}

}  // namespace aorta::node
