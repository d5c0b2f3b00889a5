#pragma once
// What a request was answered, and who was told how much of it: every generated id with its index,
// the text each id released, the outcome (set exactly once), the subscribers and their cursors. The
// only authority on what was delivered.
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "actors/admission/client.hpp"

namespace aorta::admission {

// The code of a failure that is none: another admission has the request.
inline constexpr const char* carried_on = "carried_on";

struct Outcome {
  std::string finish_reason;  // stop | length | cancelled | timeout; empty: failed
  int status = 0;             // of a failure, as in Failed
  std::string code;
  std::string message;
  bool failed() const { return finish_reason.empty(); }
  const std::string& name() const;  // the finish reason, "moved" or "failed"
};

struct TextSize {  // bytes of the two texts of an answer
  std::uint32_t reasoning = 0, text = 0;
  bool operator==(const TextSize&) const = default;
};

struct Subscriber {
  ConnectionId connection;
  TokenIndex next;        // the first id not delivered to it
  bool end_text = false;  // what only the end released was delivered too
  // Its next id is not here yet: an earlier life of the request had generated and delivered more.
  bool ahead = false;
  std::optional<std::uint64_t> delivered_hash;  // of the ids before `next`, as it has them
};

class Ledger {
 public:
  struct Terms {  // of the request
    std::vector<TokenId> prompt;
    std::uint32_t max_tokens = 0;
    std::shared_ptr<const engine::TextModel> model;
    std::vector<std::string> stop_strings;
    engine::Reasoning reasoning = engine::Reasoning::never;
    bool logprobs = false;
  };
  // Copies share the terms.
  explicit Ledger(Terms terms);

  const Terms& terms() const { return *terms_; }
  const std::vector<TokenId>& prompt() const { return terms_->prompt; }
  const std::vector<TokenId>& generated() const { return generated_; }
  const std::string& text() const { return text_.text(); }
  TokenIndex next() const { return TokenIndex{static_cast<std::uint32_t>(generated_.size())}; }
  std::uint32_t max_tokens() const { return terms_->max_tokens; }
  Usage usage() const;
  std::size_t size_bytes() const;

  // False when one of the ids is in no vocabulary of this model: its executor runs another.
  bool knows(const mesh::TokenRun& run) const;
  // Appends ids at next(), with their log-probabilities if they came. `finish` is that of the last
  // id; with Finish::stop the last id is the stop id and gives no text. Returns how the answer
  // ended, none while it goes on. A stop string or max_tokens may end it before the last id: the
  // rest is not part of the answer.
  mesh::Finish append(std::span<const TokenId> ids, mesh::Finish finish,
                      std::span<const mesh::TokenLogprobs> logprobs = {});

  // Sets the outcome; a second time is a bug.
  void close(Outcome outcome);
  const std::optional<Outcome>& outcome() const { return outcome_; }

  // A connection has one cursor: attaching again moves it. False, and not attached: see
  // agrees_with().
  bool attach(ConnectionId connection, const Cursor& at);
  bool detach(ConnectionId connection);  // false: was not attached
  std::vector<Subscriber>& subscribers() { return subscribers_; }
  const std::vector<Subscriber>& subscribers() const { return subscribers_; }
  bool subscribed(ConnectionId connection) const;
  bool someone_is_ahead() const;
  // False when what the subscriber says it has is not how this answer begins. One that is ahead is
  // asked again when more has come.
  bool agrees_with(Subscriber& subscriber) const;
  // What the subscriber has not got, but for whose it is; its cursor moves on. To be asked until
  // nothing is left: text that no id has released, but the end, comes last and without ids, so
  // that an index alone tells what text came before it.
  std::optional<Delta> take_delta(Subscriber& subscriber) const;

 private:
  void keep(TokenId id, const mesh::TokenLogprobs* logprobs);
  std::vector<Delta::Logprobs> logprobs_from(TokenIndex first) const;
  Delta delta_between(TokenIndex first, TextSize from, TextSize to) const;
  TextSize size() const;  // of all text so far
  TextSize size_before(TokenIndex next) const;

  std::shared_ptr<const Terms> terms_;
  std::vector<TokenId> generated_;
  std::vector<TextSize> sizes_;  // after each generated id, but for what the end released
  bool complete_ = false;        // its own end was reached: no id will follow
  // Of the generated ids, where they were asked for. An executor of a version that knows none may
  // have taken part: then of those before its first.
  std::vector<mesh::TokenLogprobs> logprobs_;
  engine::TextStream text_;
  std::optional<Outcome> outcome_;
  std::vector<Subscriber> subscribers_;
};

}  // namespace aorta::admission
