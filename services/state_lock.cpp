#include "services/state_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace aorta::services {
namespace {

std::string lock_path(const std::string& folder) { return folder + "/up.pid"; }

int read_pid(int fd) {
  char text[16] = {};
  if (::pread(fd, text, sizeof text - 1, 0) <= 0) return 0;
  return std::atoi(text);
}

}  // namespace

Result<StateLock> StateLock::take(const std::string& folder) {
  const std::string path = lock_path(folder);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return Error{ErrorCode::io, fmt::format("cannot open {}: {}", path, std::strerror(errno))};
  }
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int pid = read_pid(fd);
    ::close(fd);
    return Error{ErrorCode::conflict,
                 fmt::format("this mesh is up already: process {} holds {}; stop it with `aorta "
                             "down`, or start another mesh with --port-base",
                             pid, folder)};
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    const std::string reason = std::strerror(errno);
    ::close(fd);
    return Error{ErrorCode::io, fmt::format("cannot write {}: {}", path, reason)};
  }
  return StateLock(fd);
}

StateLock::~StateLock() {
  if (fd_ >= 0) ::close(fd_);
}

int holder_of(const std::string& folder) {
  const int fd = ::open(lock_path(folder).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const bool held = ::flock(fd, LOCK_SH | LOCK_NB) != 0;
  const int pid = held ? read_pid(fd) : 0;
  ::close(fd);
  return pid;
}

}  // namespace aorta::services
