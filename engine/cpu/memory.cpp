#include "engine/cpu/memory.hpp"

#include <sys/mman.h>

#include <string>
#include <utility>

namespace aorta::engine::cpu {

Result<Memory> Memory::reserve(std::size_t bytes, const char* purpose) {
  Memory memory;
  if (bytes == 0) return memory;
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    return Error{ErrorCode::resource_exhausted,
                 "the system gives no " + std::to_string(bytes >> 20) + " MiB for " + purpose};
  }
  // Fewer translations to look up; refused where the system has no huge pages, which is no error.
  madvise(p, bytes, MADV_HUGEPAGE);
  memory.data_ = static_cast<std::byte*>(p);
  memory.size_ = bytes;
  return memory;
}

Memory::~Memory() {
  if (data_ != nullptr) munmap(data_, size_);
}
Memory::Memory(Memory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace aorta::engine::cpu
