#pragma once
// Where services meet: ipc://PATH, tcp://IP:PORT, inproc://NAME. Checked before libzmq sees them,
// whose own errors name neither the endpoint nor what to do.
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace aorta::mesh {

inline constexpr std::size_t max_ipc_path_bytes = 107;  // sockaddr_un less its final zero

// Right scheme, a path that fits, an address that is an IP or a name, and a port.
Result<void> check_endpoint(const std::string& endpoint);

// The path of ipc://PATH, else empty.
std::string_view ipc_path(std::string_view endpoint);

bool is_tcp(std::string_view endpoint);

// Whether a process listens at the path; the file of a dead one refuses connections.
bool is_listened_to(const std::string& path);

// A listening Unix socket, mode 0600, for ZMQ_USE_FD. libzmq's own bind would take the file away
// from a living process, and remove the file of its successor when it closes. Here a living
// listener is a conflict, a dead one's file is replaced, and only our own file is removed.
class IpcListener {
 public:
  static Result<IpcListener> open(const std::string& path);
  IpcListener(IpcListener&& other) noexcept;
  IpcListener& operator=(IpcListener&&) = delete;
  // Removes the file if it is still ours. The socket must still be open, here or in libzmq.
  ~IpcListener();
  int fd() const { return fd_; }
  void release_fd() { fd_ = -1; }  // somebody else closes it

 private:
  IpcListener(std::string path, int fd);
  std::string path_;
  int fd_ = -1;
  unsigned long device_ = 0, inode_ = 0;
};

}  // namespace aorta::mesh
