#pragma once
// One `aorta up` at a time holds a mesh's state folder.
#include <string>
#include <utility>

#include "base/result.hpp"

namespace aorta::services {

class StateLock {
 public:
  // Errors: conflict, naming the process that holds it; io.
  static Result<StateLock> take(const std::string& folder);
  StateLock(StateLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~StateLock();

 private:
  explicit StateLock(int fd) : fd_(fd) {}
  int fd_;
};

// The pid of the `aorta up` that holds the folder, 0 when nobody does.
int holder_of(const std::string& folder);

}  // namespace aorta::services
