#pragma once
// The stream of one epoch's tokens as a link, not a hope: indexed, acknowledged, sent again from a
// gap. Sender at the executor, receiver at admission; pure, no timers of their own.
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "mesh/messages.hpp"

namespace aorta::mesh {

// Keeps what is not acknowledged; the finish counts as acknowledged only by `complete`.
class TokenSender {
 public:
  TokenSender(RequestKey key, TokenIndex first);  // index of the first token this epoch generates
  // `logprobs` with every token of a stream, or with none.
  void append(TokenId id, Finish finish, std::optional<TokenLogprobs> logprobs = std::nullopt);
  // What has been appended and not yet sent, if anything; marks it sent. The finish travels with
  // the last id, or with no ids at all when those are acknowledged and it is not.
  std::optional<TokenRun> take_unsent();
  void acknowledge(const AckItem& ack);
  // The receiver has a gap, or we must send again after silence: next take_unsent() starts there.
  // An index before the unacknowledged tail is a bug of the receiver and is ignored.
  void rewind(TokenIndex next);
  void rewind_all();  // to the first unacknowledged
  bool finished() const { return finish_ != Finish::none; }
  bool complete() const { return complete_; }  // finished and acknowledged: may be forgotten
  TokenIndex next() const;                     // next index to be generated
  std::size_t unacknowledged() const { return tail_.size(); }
  const RequestKey& key() const { return key_; }

 private:
  RequestKey key_;
  TokenIndex base_;                           // index of tail_.front()
  std::vector<TokenId> tail_;                 // not acknowledged
  std::vector<TokenLogprobs> tail_logprobs_;  // of tail_, or none
  std::uint32_t unsent_ = 0;                  // offset in tail_ of the first id to send
  Finish finish_ = Finish::none;
  bool finish_sent_ = false, complete_ = false;
};

// What continues a ledger: accepts each index once, in order.
class TokenReceiver {
 public:
  TokenReceiver(RequestKey key, TokenIndex next) : key_(key), next_(next) {}
  struct Accepted {
    std::vector<TokenId> ids;             // new ones, in order
    std::vector<TokenLogprobs> logprobs;  // of each of them, or none
    Finish finish = Finish::none;         // reached now
    bool gap = false;                     // answer Expect{next()}, once per ack interval is enough
    bool stale = false;                   // another epoch's: drop, and Stop it
    bool malformed = false;  // log-probabilities of some ids only: nothing of the run was taken
  };
  Accepted accept(const TokenRun& run);
  TokenIndex next() const { return next_; }
  bool complete() const { return complete_; }
  AckItem ack() const { return {key_, next_, complete_}; }

 private:
  RequestKey key_;
  TokenIndex next_;
  bool complete_ = false;
};

}  // namespace aorta::mesh
