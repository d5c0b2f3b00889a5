#pragma once
// A model's file, mapped read-only for as long as somebody holds it.
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.hpp"

namespace aorta::engine {

class MappedFile {
 public:
  // Errors: not_found, io (not a regular file, no permission).
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path);

  MappedFile(void* address, std::size_t size) : address_(address), size_(size) {}
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(address_), size_};
  }

 private:
  void* address_;
  std::size_t size_;
};

}  // namespace aorta::engine
