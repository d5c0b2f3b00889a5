#pragma once
// Counts what this program asks operator new for, on the thread that asks. Include it in one file.
#include <cstdint>
#include <cstdlib>
#include <new>

namespace aorta {
inline thread_local std::uint64_t allocations = 0;
}  // namespace aorta

void* operator new(std::size_t size) {
  ++aorta::allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t align) {
  ++aorta::allocations;
  const auto alignment = static_cast<std::size_t>(align);
  const std::size_t whole = (size + alignment - 1) / alignment * alignment;
  if (void* memory = std::aligned_alloc(alignment, whole)) return memory;
  throw std::bad_alloc();
}
// Also what std::stable_sort asks with: whoever takes memory must match the delete below.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++aorta::allocations;
  return std::malloc(size == 0 ? 1 : size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
