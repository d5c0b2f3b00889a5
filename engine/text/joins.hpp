#pragma once
// Which neighbouring characters some token spans. Where none does, text can be cut before it is
// merged: no merge crosses the place, so each side becomes what it would have become anyway.
// Chinese clauses come apart into words so.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace aorta::engine {

class Joins {
 public:
  Joins() : bits_(words, 0) {}

  // Remembers the places between characters in a token's bytes, which may begin and end within one.
  void add(std::string_view token);

  // The length of the shortest beginning of `text`, which is not empty, that no token spans the end
  // of; all of it when there is no such place.
  std::size_t part(std::string_view text) const;

 private:
  static constexpr std::size_t words = 1 << 14;  // 128 KiB: of 2^20 bits few are set by chance
  // Characters as the numbers that their bytes make; `sides` says which is only a byte, where a
  // token has but a part of it.
  static std::uint32_t place_of(std::uint32_t left, std::uint32_t right, std::uint32_t sides);
  bool has(std::uint32_t place) const { return bits_[place >> 6] >> (place & 63) & 1; }

  std::vector<std::uint64_t> bits_;  // a set by hash: it may say yes for nothing, never no
};

}  // namespace aorta::engine
