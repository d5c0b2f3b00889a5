#include "engine/text/rank_queue.hpp"

#include <algorithm>
#include <bit>

namespace aorta::engine {

RankQueue::RankQueue(std::uint32_t ranks)
    : newest_(std::make_unique_for_overwrite<std::int32_t[]>(ranks)),
      waiting_(ranks / 64 + 1),
      words_(waiting_.size() / 64 + 1) {}

void RankQueue::push(std::uint32_t rank, const MergeCandidate& candidate) {
  std::int32_t& newest = newest_[rank];
  std::uint64_t& word = waiting_[rank / 64];
  const std::uint64_t bit = 1ull << rank % 64;
  if ((word & bit) == 0) {
    newest = none;
    word |= bit;
    words_[rank / 64 / 64] |= 1ull << rank / 64 % 64;
  }
  if (free_ == none) {
    links_.push_back({candidate, newest});
    newest = static_cast<std::int32_t>(links_.size() - 1);
    return;
  }
  const std::int32_t link = free_;
  free_ = links_[link].next;
  links_[link] = {candidate, newest};
  newest = link;
}

bool RankQueue::pop(std::uint32_t& rank, std::vector<MergeCandidate>& out) {
  out.clear();
  const auto words =
      std::find_if(words_.begin(), words_.end(), [](auto bits) { return bits != 0; });
  if (words == words_.end()) return false;
  const auto word =
      static_cast<std::uint32_t>((words - words_.begin()) * 64 + std::countr_zero(*words));
  rank = word * 64 + static_cast<std::uint32_t>(std::countr_zero(waiting_[word]));

  waiting_[word] &= waiting_[word] - 1;
  if (waiting_[word] == 0) *words &= *words - 1;
  std::int32_t link = newest_[rank];
  while (link != none) {
    const std::int32_t next = links_[link].next;
    out.push_back(links_[link].candidate);
    links_[link].next = free_;
    free_ = link;
    link = next;
  }
  std::reverse(out.begin(), out.end());
  const auto leftmost = [](const MergeCandidate& a, const MergeCandidate& b) {
    return a.left < b.left;
  };
  if (!std::is_sorted(out.begin(), out.end(), leftmost))
    std::sort(out.begin(), out.end(), leftmost);
  return true;
}

}  // namespace aorta::engine
