#pragma once
// Byte-pair merging over token ids: always the pair of lowest rank, leftmost first (Sennrich et
// al. 2016), in about n steps for a piece of n bytes.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "engine/text/rank_queue.hpp"

namespace aorta::engine {

// What two neighbouring tokens become, and how early that merge was learnt.
struct Merge {
  std::uint32_t rank = no_rank;
  TokenId result = 0;
  static constexpr std::uint32_t no_rank = 0xFFFFFFFF;
};

// (left, right) -> Merge: an open-addressed table, sized once.
class MergeTable {
 public:
  explicit MergeTable(std::size_t merges);
  // The first of two equal pairs stays; no more than `merges` pairs.
  void insert(TokenId left, TokenId right, Merge merge);
  Merge find(TokenId left, TokenId right) const;
  std::uint32_t ranks() const { return ranks_; }  // all are smaller

 private:
  struct Slot {
    std::uint64_t pair = empty;
    Merge merge;
    static constexpr std::uint64_t empty = ~0ull;  // no pair: ids are not negative
  };
  std::size_t slot_of(std::uint64_t pair) const;
  std::vector<Slot> slots_;
  std::uint32_t shift_ = 0;
  std::uint32_t ranks_ = 0;
};

// Merges one piece after another; holds the scratch space, so one per thread.
class Merger {
 public:
  explicit Merger(const MergeTable& table) : table_(table) {}
  // Merges `ids` in place until no pair has a merge.
  void merge(std::vector<TokenId>& ids);
  // The two ways it is done; same result. Scanning is quadratic but has no overhead: for words.
  void merge_scanning(std::vector<TokenId>& ids);
  void merge_queued(std::vector<TokenId>& ids);

 private:
  // A place in the piece; merged-away places are unlinked.
  struct Symbol {
    TokenId id = 0;
    std::int32_t previous = 0, next = 0;  // -1 at the ends
    bool alive = true;
  };
  std::uint32_t enqueue(std::int32_t left, std::int32_t right);
  std::uint32_t merge_candidate(const MergeCandidate& candidate);

  const MergeTable& table_;
  std::vector<std::uint32_t> ranks_;
  std::vector<TokenId> results_;
  std::vector<Symbol> symbols_;
  std::optional<RankQueue> queue_;  // made when it is first needed: it is as large as the table
  std::vector<MergeCandidate> candidates_;
};

}  // namespace aorta::engine
