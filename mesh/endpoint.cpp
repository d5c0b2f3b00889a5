#include "mesh/endpoint.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace aorta::mesh {
namespace {

constexpr std::string_view ipc_scheme = "ipc://";
constexpr std::string_view tcp_scheme = "tcp://";
constexpr std::string_view inproc_scheme = "inproc://";

Error invalid(std::string why) { return {ErrorCode::invalid_argument, std::move(why)}; }

Error from_errno(const std::string& path, const char* what) {
  return {ErrorCode::io, fmt::format("ipc://{}: {}: {}", path, what, std::strerror(errno))};
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<void> check_tcp(const std::string& endpoint) {
  const std::string_view rest = std::string_view(endpoint).substr(tcp_scheme.size());
  const std::size_t colon = rest.rfind(':');
  if (colon == rest.npos || colon == 0) {
    return invalid(
        fmt::format("{}: an address and a port are needed, as in tcp://127.0.0.1:8083", endpoint));
  }
  const std::string_view port = rest.substr(colon + 1);
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (port != "*" && (error != std::errc{} || end != port.data() + port.size() || number > 65535)) {
    return invalid(fmt::format("{}: the port must be 0 to 65535 (0: a free one)", endpoint));
  }
  return {};
}

}  // namespace

std::string_view ipc_path(std::string_view endpoint) {
  return endpoint.starts_with(ipc_scheme) ? endpoint.substr(ipc_scheme.size()) : std::string_view{};
}

bool is_tcp(std::string_view endpoint) { return endpoint.starts_with(tcp_scheme); }

Result<void> check_endpoint(const std::string& endpoint) {
  if (endpoint.starts_with(tcp_scheme)) return check_tcp(endpoint);
  if (endpoint.starts_with(inproc_scheme) && endpoint.size() > inproc_scheme.size()) return {};
  const std::string_view path = ipc_path(endpoint);
  if (path.empty()) {
    return invalid(
        fmt::format("{}: an endpoint is ipc://PATH, tcp://IP:PORT or inproc://NAME", endpoint));
  }
  if (path.size() > max_ipc_path_bytes) {
    return invalid(
        fmt::format("{}: the path has {} bytes and a Unix socket's may have {}: use a "
                    "shorter state folder (XDG_STATE_HOME)",
                    endpoint, path.size(), max_ipc_path_bytes));
  }
  return {};
}

bool is_listened_to(const std::string& path) {
  const sockaddr_un address = address_of(path);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const int rc = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const bool alive = rc == 0 || errno == EAGAIN;  // EAGAIN: its backlog is full
  ::close(fd);
  return alive;
}

IpcListener::IpcListener(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

IpcListener::IpcListener(IpcListener&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      device_(other.device_),
      inode_(std::exchange(other.inode_, 0)) {}

Result<IpcListener> IpcListener::open(const std::string& path) {
  struct stat file {};
  if (::lstat(path.c_str(), &file) == 0 && !S_ISSOCK(file.st_mode)) {
    return Error{ErrorCode::conflict,
                 fmt::format("ipc://{}: a file that is no socket lies there: move it away", path)};
  }
  if (is_listened_to(path)) {
    return Error{ErrorCode::conflict,
                 fmt::format("ipc://{} is in use: another process listens there; stop it or use "
                             "another state folder",
                             path)};
  }
  ::unlink(path.c_str());
  const sockaddr_un address = address_of(path);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return from_errno(path, "no socket to be had");
  IpcListener listener(path, fd);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return from_errno(path, errno == ENOENT ? "its folder does not exist" : "cannot bind");
  }
  if (::chmod(path.c_str(), 0600) != 0 || ::stat(path.c_str(), &file) != 0) {
    return from_errno(path, "cannot make it private");
  }
  listener.device_ = file.st_dev;
  listener.inode_ = file.st_ino;
  if (::listen(fd, 128) != 0) return from_errno(path, "cannot listen");
  return listener;
}

// While the socket is open its inode's number is not given to another file.
IpcListener::~IpcListener() {
  struct stat file {};
  if (inode_ != 0 && ::stat(path_.c_str(), &file) == 0 && file.st_dev == device_ &&
      file.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace aorta::mesh
