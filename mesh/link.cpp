#include "mesh/link.hpp"

#include <algorithm>

#include "base/result.hpp"

namespace aorta::mesh {

TokenSender::TokenSender(RequestKey key, TokenIndex first) : key_(key), base_(first) {}

TokenIndex TokenSender::next() const {
  return TokenIndex{base_.value + static_cast<std::uint32_t>(tail_.size())};
}

void TokenSender::append(TokenId id, Finish finish, std::optional<TokenLogprobs> logprobs) {
  AORTA_CHECK(finish_ == Finish::none, "a finished stream takes no more tokens");
  AORTA_CHECK(tail_logprobs_.size() == (logprobs ? tail_.size() : 0),
              "log-probabilities come with every token of a stream or with none");
  tail_.push_back(id);
  if (logprobs) tail_logprobs_.push_back(std::move(*logprobs));
  finish_ = finish;
}

std::optional<TokenRun> TokenSender::take_unsent() {
  const bool finish_unsent = finish_ != Finish::none && !finish_sent_;
  if (complete_ || (unsent_ == tail_.size() && !finish_unsent)) return std::nullopt;
  TokenRun run{.key = key_,
               .first = TokenIndex{base_.value + unsent_},
               .ids = {tail_.begin() + unsent_, tail_.end()},
               .finish = finish_};
  if (!tail_logprobs_.empty()) {
    run.logprobs.assign(tail_logprobs_.begin() + unsent_, tail_logprobs_.end());
  }
  unsent_ = static_cast<std::uint32_t>(tail_.size());
  finish_sent_ = finish_ != Finish::none;
  return run;
}

void TokenSender::acknowledge(const AckItem& ack) {
  if (ack.key != key_ || ack.next > next()) return;
  if (ack.next > base_) {
    const std::uint32_t count = ack.next.value - base_.value;
    tail_.erase(tail_.begin(), tail_.begin() + count);
    if (!tail_logprobs_.empty()) {
      tail_logprobs_.erase(tail_logprobs_.begin(), tail_logprobs_.begin() + count);
    }
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
  if (!run.logprobs.empty() && run.logprobs.size() != run.ids.size()) {
    accepted.malformed = true;
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
  if (!run.logprobs.empty()) {
    accepted.logprobs.assign(run.logprobs.begin() + static_cast<std::ptrdiff_t>(known),
                             run.logprobs.end());
  }
  next_.value += static_cast<std::uint32_t>(accepted.ids.size());
  accepted.finish = run.finish;
  complete_ = run.finish != Finish::none;
  return accepted;
}

}  // namespace aorta::mesh
