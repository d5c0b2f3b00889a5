#include "mesh/link.hpp"

#include <algorithm>

#include "base/result.hpp"

namespace aorta::mesh {

TokenSender::TokenSender(RequestKey key, TokenIndex first) : key_(key), base_(first) {}

TokenIndex TokenSender::next() const {
  return TokenIndex{base_.value + static_cast<std::uint32_t>(tail_.size())};
}

void TokenSender::append(TokenId id, Finish finish) {
  AORTA_CHECK(finish_ == Finish::none, "a finished stream takes no more tokens");
  tail_.push_back(id);
  finish_ = finish;
}

std::optional<TokenRun> TokenSender::take_unsent() {
  const bool finish_unsent = finish_ != Finish::none && !finish_sent_;
  if (complete_ || (unsent_ == tail_.size() && !finish_unsent)) return std::nullopt;
  TokenRun run{
      key_, TokenIndex{base_.value + unsent_}, {tail_.begin() + unsent_, tail_.end()}, finish_};
  unsent_ = static_cast<std::uint32_t>(tail_.size());
  finish_sent_ = finish_ != Finish::none;
  return run;
}

void TokenSender::acknowledge(const AckItem& ack) {
  if (ack.key != key_ || ack.next > next()) return;
  if (ack.next > base_) {
    const std::uint32_t count = ack.next.value - base_.value;
    tail_.erase(tail_.begin(), tail_.begin() + count);
    base_ = ack.next;
    unsent_ -= std::min(unsent_, count);  // after a rewind, what is acknowledged may lie ahead
  }
  if (ack.complete && finish_ != Finish::none && ack.next == next()) complete_ = true;
}

void TokenSender::rewind(TokenIndex next_expected) {
  if (next_expected < base_ || next_expected > next()) return;
  unsent_ = std::min(unsent_, next_expected.value - base_.value);
  finish_sent_ = false;
}

void TokenSender::rewind_all() { rewind(base_); }

TokenReceiver::Accepted TokenReceiver::accept(const TokenRun& run) {
  Accepted accepted;
  if (run.key != key_) {
    accepted.stale = true;
    return accepted;
  }
  if (complete_) return accepted;
  if (run.first > next_) {
    accepted.gap = true;
    return accepted;
  }
  const std::size_t known = next_.value - run.first.value;
  if (known > run.ids.size()) return accepted;  // an old run, sent again before our ack arrived
  accepted.ids.assign(run.ids.begin() + static_cast<std::ptrdiff_t>(known), run.ids.end());
  next_.value += static_cast<std::uint32_t>(accepted.ids.size());
  accepted.finish = run.finish;
  complete_ = run.finish != Finish::none;
  return accepted;
}

}  // namespace aorta::mesh
