#include "engine/model/mapped_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace aorta::engine {
namespace {

Error system_error(ErrorCode code, std::string_view doing, const std::string& path) {
  const std::string reason = std::error_code(errno, std::generic_category()).message();
  return {code, fmt::format("cannot {} the model file {}: {}", doing, path, reason)};
}

}  // namespace

// O_NONBLOCK so that a FIFO in place of the file is refused, not waited for.
Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const bool absent = errno == ENOENT || errno == ENOTDIR;
    return system_error(absent ? ErrorCode::not_found : ErrorCode::io, "open", path);
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    return Error{ErrorCode::io, fmt::format("the model file {} is not a regular file", path)};
  }
  const auto size = static_cast<std::size_t>(info.st_size);
  void* address = size > 0 ? ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0) : nullptr;
  const auto mapped = std::make_shared<const MappedFile>(address, address == MAP_FAILED ? 0 : size);
  if (address == MAP_FAILED) {
    const Error error = system_error(ErrorCode::io, "map", path);
    ::close(fd);
    return error;
  }
  ::close(fd);
  return mapped;
}

MappedFile::~MappedFile() {
  if (size_ > 0) ::munmap(address_, size_);
}

}  // namespace aorta::engine
