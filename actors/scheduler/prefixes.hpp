#pragma once
// The prefixes of what was placed on an executor: which blocks of a request its cache may have. An
// expectation, not knowledge: the executor says what it found when it has begun.
#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>

namespace aorta::scheduler {

class Prefixes {
 public:
  Prefixes() = default;
  Prefixes(Prefixes&&) = default;
  Prefixes& operator=(Prefixes&&) = default;

  // The names of a request's blocks, in order, that is placed now. At most `most` names are kept:
  // those placed last, and of one request's the first.
  void note(std::span<const std::uint64_t> names, std::size_t most);
  // How many of a request's blocks, from its first on, are remembered.
  std::uint32_t known(std::span<const std::uint64_t> names) const;
  std::size_t size() const { return places_.size(); }

 private:
  using Order = std::list<std::uint64_t>;  // the last placed first
  Order order_;
  std::unordered_map<std::uint64_t, Order::iterator> places_;
};

}  // namespace aorta::scheduler
