#pragma once
// Ids of short pieces of text that were merged before: most words come again and again. A table of
// fixed size whose newest piece takes the place of what lies there; one per thread.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/ids.hpp"

namespace aorta::engine {

class PieceCache {
 public:
  // `pieces` is a power of two, or 0 for a cache that never knows anything; 32 bytes each.
  explicit PieceCache(std::size_t pieces) : entries_(pieces) {}

  static constexpr std::size_t longest_piece = 15, most_ids = 4;
  // Whether a piece is a whole one or a part makes a difference to what it becomes.
  enum class Kind : std::uint8_t { whole = 0x40, part = 0x80 };

  struct Key {
    std::uint64_t low = 0, high = 0;  // the bytes, then kind | length in the last one
  };
  // `end` is the end of what may be read, at or after the piece's.
  static Key key_of(std::string_view piece, Kind kind, const char* end) {
    Key key;
    const std::size_t size = piece.size();
    if (static_cast<std::size_t>(end - piece.data()) >= sizeof key) {
      std::memcpy(&key, piece.data(), sizeof key);
      const auto mask = [](std::size_t bytes) {
        return bytes >= 8 ? ~0ull : (1ull << 8 * bytes) - 1;
      };
      key.low &= mask(size);
      key.high &= size > 8 ? mask(size - 8) : 0;
    } else {
      std::memcpy(&key, piece.data(), size);
    }
    key.high |= (static_cast<std::uint64_t>(kind) | size) << 56;
    return key;
  }

  // Writes the ids and returns how many; 0 when the piece is not known.
  std::size_t find(const Key& key, TokenId* ids) const {
    if (entries_.empty()) return 0;
    const Entry& entry = entries_[place_of(key)];
    if (entry.key.low != key.low || entry.key.high != key.high) return 0;
    std::memcpy(ids, entry.ids, sizeof entry.ids);
    std::size_t count = 1;
    while (count < most_ids && entry.ids[count] >= 0) ++count;
    return count;
  }
  // Keeps 1 to most_ids ids.
  void insert(const Key& key, const TokenId* ids, std::size_t count) {
    if (entries_.empty() || count == 0 || count > most_ids) return;
    Entry& entry = entries_[place_of(key)];
    entry.key = key;
    for (std::size_t i = 0; i < most_ids; ++i) entry.ids[i] = i < count ? ids[i] : -1;
  }

 private:
  struct Entry {
    Key key;
    TokenId ids[most_ids] = {};
  };
  std::size_t place_of(const Key& key) const {
    std::uint64_t hash = (key.low ^ key.high * 0xC2B2AE3D27D4EB4Full) * 0x9E3779B97F4A7C15ull;
    hash ^= hash >> 32;
    return hash * 0x9E3779B97F4A7C15ull >> 40 & (entries_.size() - 1);
  }
  std::vector<Entry> entries_;
};

}  // namespace aorta::engine
