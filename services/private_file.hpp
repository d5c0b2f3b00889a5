#pragma once
// Small files that are read and written whole, and that others of this machine cannot read.
#include <string>

#include "base/result.hpp"

namespace aorta::services {

// Errors: not_found, io.
Result<std::string> read_file(const std::string& path);
// A reader sees the old text or the new one, also after a loss of power. Mode 0600.
Result<void> write_private_file(const std::string& path, const std::string& text);

// Holds off others that change files of this folder, in this process or another.
class FolderLock {
 public:
  static Result<FolderLock> take(const std::string& folder);
  FolderLock(FolderLock&& other) noexcept;
  ~FolderLock();

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace aorta::services
