#pragma once
// A bounded queue between exactly two threads, one that pushes and one that pops, without a lock.
// It never waits: a full ring refuses, and what to do then is the caller's decision.
#include <atomic>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace aorta {

// T must be default constructible and movable.
template <class T>
class Ring {
 public:
  // Holds up to `capacity` values; one cell more tells full from empty.
  explicit Ring(std::size_t capacity) : cells_(capacity + 1) {}

  // The producer's. False when full, and `value` is then untouched.
  bool push(T&& value) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    const std::size_t after = next(tail);
    if (after == head_.load(std::memory_order_acquire)) return false;
    cells_[tail] = std::move(value);
    tail_.store(after, std::memory_order_release);
    return true;
  }

  // The consumer's. None when empty.
  std::optional<T> pop() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_acquire)) return std::nullopt;
    std::optional<T> value(std::move(cells_[head]));
    cells_[head] = T{};  // keeps no memory of what it held
    head_.store(next(head), std::memory_order_release);
    return value;
  }

  std::size_t capacity() const { return cells_.size() - 1; }

 private:
  static constexpr std::size_t cache_line = 64;  // the two threads write on different lines

  std::size_t next(std::size_t at) const { return at + 1 == cells_.size() ? 0 : at + 1; }

  std::vector<T> cells_;
  alignas(cache_line) std::atomic<std::size_t> head_ = 0;  // the next to pop
  alignas(cache_line) std::atomic<std::size_t> tail_ = 0;  // the next to push
};

}  // namespace aorta
