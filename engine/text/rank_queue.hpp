#pragma once
// The pairs that may be merged next, by rank: a bucket for each, since ranks are few and small. A
// heap would cost a long piece of text a logarithm, and many cache misses, for every byte.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/ids.hpp"

namespace aorta::engine {

// A pair that had a merge when it was queued.
struct MergeCandidate {
  std::int32_t left = 0, right = 0;  // places in the piece
  TokenId right_id = 0;              // when it was queued
  TokenId result = 0;
};

class RankQueue {
 public:
  explicit RankQueue(std::uint32_t ranks);

  void push(std::uint32_t rank, const MergeCandidate& candidate);  // rank < ranks
  // Takes all candidates of the lowest rank, leftmost first, into `out`. False: none is left.
  bool pop(std::uint32_t& rank, std::vector<MergeCandidate>& out);

 private:
  struct Link {
    MergeCandidate candidate;
    std::int32_t next = none;
  };
  static constexpr std::int32_t none = -1;

  // Of each rank that has any, a list in links_, newest first; else not written, so that pages of
  // ranks that no text needs are never touched.
  std::unique_ptr<std::int32_t[]> newest_;
  std::vector<std::uint64_t> waiting_;  // a bit for each rank that has any
  std::vector<std::uint64_t> words_;    // a bit for each word of waiting_ that is not 0
  std::vector<Link> links_;
  std::int32_t free_ = none;  // a list of unused links
};

}  // namespace aorta::engine
