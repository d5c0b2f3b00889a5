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

}  // namespace aorta::engine::cpu
