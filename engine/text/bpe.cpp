#include "engine/text/bpe.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/result.hpp"

namespace aorta::engine {
namespace {

// Up to this length scanning beats the queue's bookkeeping; nearly every word is shorter.
constexpr std::size_t longest_scanned = 32;

std::uint64_t pair_of(TokenId left, TokenId right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
         static_cast<std::uint32_t>(right);
}

}  // namespace

MergeTable::MergeTable(std::size_t merges)
    : slots_(std::bit_ceil(merges * 2 + 2)),
      shift_(64 - static_cast<std::uint32_t>(std::countr_zero(slots_.size()))) {}

// Fibonacci hashing spreads the pair over the high bits; collisions go to the next slot.
std::size_t MergeTable::slot_of(std::uint64_t pair) const {
  std::size_t slot = pair * 0x9E3779B97F4A7C15ull >> shift_;
  while (slots_[slot].pair != Slot::empty && slots_[slot].pair != pair) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slot;
}

void MergeTable::insert(TokenId left, TokenId right, Merge merge) {
  AORTA_CHECK(left >= 0 && right >= 0, "token ids are not negative");
  const std::uint64_t pair = pair_of(left, right);
  Slot& slot = slots_[slot_of(pair)];
  if (slot.pair == Slot::empty) slot = {pair, merge};
  ranks_ = std::max(ranks_, merge.rank + 1);
}

Merge MergeTable::find(TokenId left, TokenId right) const {
  return slots_[slot_of(pair_of(left, right))].merge;
}

void Merger::merge(std::vector<TokenId>& ids) {
  if (ids.size() <= longest_scanned) {
    merge_scanning(ids);
  } else {
    merge_queued(ids);
  }
}

// ranks[i] and results[i] are the merge of ids[i] and ids[i + 1].
void Merger::merge_scanning(std::vector<TokenId>& ids) {
  if (ids.size() < 2) return;
  const auto resized = [&](auto& scratch) {
    if (scratch.size() < ids.size()) scratch.resize(ids.size());
    return scratch.data();
  };
  std::uint32_t* const ranks = resized(ranks_);
  TokenId* const results = resized(results_);
  TokenId* const id = ids.data();
  const auto look_up = [&](std::size_t i) {
    const Merge merge = table_.find(id[i], id[i + 1]);
    ranks[i] = merge.rank;
    results[i] = merge.result;
  };
  std::size_t pairs = ids.size() - 1;
  for (std::size_t i = 0; i < pairs; ++i) look_up(i);
  while (pairs > 0) {
    std::size_t at = 0;
    for (std::size_t i = 1; i < pairs; ++i) at = ranks[i] < ranks[at] ? i : at;
    if (ranks[at] == Merge::no_rank) break;
    id[at] = results[at];
    --pairs;
    for (std::size_t i = at + 1; i <= pairs; ++i) id[i] = id[i + 1];
    for (std::size_t i = at; i < pairs; ++i) {
      ranks[i] = ranks[i + 1];
      results[i] = results[i + 1];
    }
    if (at > 0) look_up(at - 1);
    if (at < pairs) look_up(at);
  }
  ids.resize(pairs + 1);
}

// Answers the pair's rank.
std::uint32_t Merger::enqueue(std::int32_t left, std::int32_t right) {
  if (left < 0 || right < 0) return Merge::no_rank;
  const TokenId left_id = symbols_[left].id, right_id = symbols_[right].id;
  const Merge merge = table_.find(left_id, right_id);
  if (merge.rank != Merge::no_rank) queue_->push(merge.rank, {left, right, right_id, merge.result});
  return merge.rank;
}

// Answers the lowest rank of the pairs that came of it.
std::uint32_t Merger::merge_candidate(const MergeCandidate& candidate) {
  Symbol& left = symbols_[candidate.left];
  Symbol& right = symbols_[candidate.right];
  // Stale when the left one went into its own left, or either went on to its right: a left that
  // did has another next, a right that did has another id.
  const bool stale = !left.alive || left.next != candidate.right || right.id != candidate.right_id;
  if (stale) return Merge::no_rank;
  left.id = candidate.result;
  left.next = right.next;
  right.alive = false;
  if (right.next >= 0) symbols_[right.next].previous = candidate.left;
  return std::min(enqueue(left.previous, candidate.left), enqueue(candidate.left, left.next));
}

void Merger::merge_queued(std::vector<TokenId>& ids) {
  if (ids.empty()) return;
  AORTA_CHECK(ids.size() < (1ull << 31), "a piece of text is addressed by 31 bits");
  if (!queue_) queue_.emplace(table_.ranks());
  const auto count = static_cast<std::int32_t>(ids.size());
  symbols_.clear();
  for (std::int32_t i = 0; i < count; ++i) {
    symbols_.push_back({ids[i], i - 1, i + 1 < count ? i + 1 : -1});
  }
  for (std::int32_t i = 0; i + 1 < count; ++i) enqueue(i, i + 1);

  std::uint32_t rank = 0;
  while (queue_->pop(rank, candidates_)) {
    std::size_t next = 0;
    while (next < candidates_.size() && merge_candidate(candidates_[next++]) > rank) {
    }
    // A merge made a pair that goes before the rest of its rank, as no trained table does.
    for (; next < candidates_.size(); ++next) queue_->push(rank, candidates_[next]);
  }
  ids.clear();
  for (std::int32_t i = 0; i >= 0; i = symbols_[i].next) ids.push_back(symbols_[i].id);
}

}  // namespace aorta::engine
