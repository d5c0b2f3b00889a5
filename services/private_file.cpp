#include "services/private_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

namespace aorta::services {
namespace {

Error from_errno(const char* what, const std::string& path) {
  const ErrorCode code = errno == ENOENT ? ErrorCode::not_found : ErrorCode::io;
  return {code, fmt::format("cannot {} {}: {}", what, path, std::strerror(errno))};
}

bool write_all(int fd, const std::string& text) {
  for (std::size_t written = 0; written < text.size();) {
    const ssize_t n = ::write(fd, text.data() + written, text.size() - written);
    if (n < 0 && errno != EINTR) return false;
    if (n > 0) written += static_cast<std::size_t>(n);
  }
  return ::fsync(fd) == 0;
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return from_errno("read", path);
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad()) return from_errno("read", path);
  return text.str();
}

Result<void> write_private_file(const std::string& path, const std::string& text) {
  const std::string draft = fmt::format("{}.{}", path, ::getpid());
  const int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return from_errno("write", draft);
  const bool written = write_all(fd, text);
  const int error = errno;
  ::close(fd);
  if (!written) {
    ::unlink(draft.c_str());
    errno = error;
    return from_errno("write", draft);
  }
  if (std::rename(draft.c_str(), path.c_str()) != 0) return from_errno("write", path);
  return {};
}

Result<FolderLock> FolderLock::take(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return from_errno("open", folder);
  if (::flock(fd, LOCK_EX) != 0) {
    const Error error = from_errno("lock", folder);
    ::close(fd);
    return error;
  }
  return FolderLock(fd);
}

FolderLock::FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace aorta::services
