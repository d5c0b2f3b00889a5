#include "services/interrupts.hpp"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

namespace aorta::services {
namespace {

volatile sig_atomic_t interrupted = 0;

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = 1; };
  ::sigaction(SIGINT, &action, nullptr);  // no SA_RESTART: it wakes what waits
}

bool take_interrupt() {
  const bool was = interrupted != 0;
  interrupted = 0;
  return was;
}

// The signal is blocked but while ppoll waits, so none comes between the look at the note and that.
ssize_t interruptible_read(int descriptor, void* to, std::size_t size) {
  sigset_t interrupt, before;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &interrupt, &before);
  pollfd readable{descriptor, POLLIN, 0};
  ssize_t done = -1;
  errno = EINTR;
  if (interrupted == 0 && ::ppoll(&readable, 1, nullptr, &before) > 0) {
    done = ::read(descriptor, to, size);
  }
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return done;
}

}  // namespace aorta::services
