#pragma once
// Anonymous memory straight from the kernel: zeroed, page-aligned, and taken only as it is touched.
#include <cstddef>

#include "base/result.hpp"

namespace aorta::engine::cpu {

class Memory {
 public:
  Memory() = default;
  // Errors: resource_exhausted. `purpose` names it in the sentence.
  static Result<Memory> reserve(std::size_t bytes, const char* purpose);
  ~Memory();
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&& other) noexcept;

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Fetches a cache line to write it: else stores wait in turn for the core that read it last.
inline void fetch_to_write(const void* p) {
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));
}

}  // namespace aorta::engine::cpu
