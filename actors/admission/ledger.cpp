#include "actors/admission/ledger.hpp"

#include <algorithm>

#include "base/result.hpp"

namespace aorta::admission {

const std::string& Outcome::name() const {
  static const std::string failed_name = "failed";
  return failed() ? failed_name : finish_reason;
}

Ledger::Ledger(Terms terms)
    : prompt_(std::make_shared<const std::vector<TokenId>>(std::move(terms.prompt))),
      wants_logprobs_(terms.logprobs),
      max_tokens_(terms.max_tokens),
      model_(std::move(terms.model)),
      text_(model_, std::move(terms.stop_strings), terms.reasoning) {}

Usage Ledger::usage() const {
  return {.prompt_tokens = static_cast<std::uint32_t>(prompt_->size()),
          .completion_tokens = next().value,
          .reasoning_tokens = text_.reasoning_tokens()};
}

std::size_t Ledger::size_bytes() const {
  std::size_t bytes = sizeof(Ledger) + prompt_->capacity() * sizeof(TokenId) +
                      generated_.capacity() * sizeof(TokenId) +
                      sizes_.capacity() * sizeof(TextSize) + text_.text().capacity() +
                      text_.reasoning().capacity();
  for (const mesh::TokenLogprobs& logprobs : logprobs_) {
    bytes += sizeof(logprobs) + logprobs.top.capacity() * sizeof(logprobs.top.front());
  }
  return bytes;
}

bool Ledger::knows(const mesh::TokenRun& run) const {
  const auto known = [&](TokenId id) {
    return id >= 0 && static_cast<std::uint32_t>(id) < model_->vocabulary();
  };
  const auto all_known = [&](const mesh::TokenLogprobs& logprobs) {
    return std::all_of(logprobs.top.begin(), logprobs.top.end(),
                       [&](const auto& entry) { return known(entry.first); });
  };
  return std::all_of(run.ids.begin(), run.ids.end(), known) &&
         std::all_of(run.logprobs.begin(), run.logprobs.end(), all_known);
}

void Ledger::keep(TokenId id, const mesh::TokenLogprobs* logprobs) {
  const bool whole = logprobs_.size() == generated_.size();  // none is missing before it
  if (wants_logprobs_ && logprobs != nullptr && whole) logprobs_.push_back(*logprobs);
  generated_.push_back(id);
}

mesh::Finish Ledger::append(std::span<const TokenId> ids, mesh::Finish finish,
                            std::span<const mesh::TokenLogprobs> logprobs) {
  AORTA_CHECK(!outcome_, "an ended ledger takes no more ids");
  auto ended = mesh::Finish::none;
  for (std::size_t i = 0; i < ids.size() && ended == mesh::Finish::none; ++i) {
    const bool last = i + 1 == ids.size();
    keep(ids[i], i < logprobs.size() ? &logprobs[i] : nullptr);
    const bool is_stop_id = last && finish == mesh::Finish::stop;
    const bool stop_string = !is_stop_id && text_.append(ids[i]);
    sizes_.push_back(size());
    if (stop_string) {
      ended = mesh::Finish::stop;
    } else if (last) {
      ended = finish;
    }
    if (ended == mesh::Finish::none && generated_.size() >= max_tokens_) {
      ended = mesh::Finish::length;
    }
  }
  if (ids.empty()) ended = finish;
  if (ended != mesh::Finish::none && !text_.stopped()) {
    text_.finish();
    // What was withheld belongs to the last id: text stays a function of ids and finish alone.
    if (!sizes_.empty()) sizes_.back() = size();
  }
  return ended;
}

void Ledger::close(Outcome outcome) {
  AORTA_CHECK(!outcome_, "a request ends exactly once");
  outcome_ = std::move(outcome);
}

TextSize Ledger::size() const {
  return {static_cast<std::uint32_t>(text_.reasoning().size()),
          static_cast<std::uint32_t>(text_.text().size())};
}

TextSize Ledger::size_before(TokenIndex next) const {
  return next.value == 0 ? TextSize{} : sizes_[next.value - 1];
}

void Ledger::attach(ConnectionId connection, TokenIndex next) {
  AORTA_CHECK(next <= this->next(), "a subscriber cannot be ahead of the ledger");
  detach(connection);
  subscribers_.push_back({connection, next, size_before(next)});
}

bool Ledger::detach(ConnectionId connection) {
  return std::erase_if(subscribers_, [&](const Subscriber& subscriber) {
           return subscriber.connection == connection;
         }) > 0;
}

bool Ledger::subscribed(ConnectionId connection) const {
  return std::any_of(subscribers_.begin(), subscribers_.end(),
                     [&](const Subscriber& one) { return one.connection == connection; });
}

// One for each id from `first` on, or none where they were not asked for or one is missing.
std::vector<Delta::Logprobs> Ledger::logprobs_from(TokenIndex first) const {
  std::vector<Delta::Logprobs> found;
  if (logprobs_.size() < generated_.size()) return found;
  const auto resolved = [&](TokenId id, float logprob) {
    return TokenLogprob{std::string(model_->bytes(id)), logprob};
  };
  for (std::size_t i = first.value; i < logprobs_.size(); ++i) {
    Delta::Logprobs& one = found.emplace_back();
    one.chosen = resolved(generated_[i], logprobs_[i].chosen);
    for (const auto& [id, logprob] : logprobs_[i].top) one.top.push_back(resolved(id, logprob));
  }
  return found;
}

std::optional<Delta> Ledger::take_delta(Subscriber& subscriber) const {
  const TextSize end = size_before(next());
  if (subscriber.next == next() && subscriber.sent == end) return std::nullopt;
  Delta delta{.first = subscriber.next,
              .ids = {generated_.begin() + subscriber.next.value, generated_.end()},
              .text = text_.text().substr(subscriber.sent.text, end.text - subscriber.sent.text),
              .reasoning = text_.reasoning().substr(subscriber.sent.reasoning,
                                                    end.reasoning - subscriber.sent.reasoning),
              .logprobs = logprobs_from(subscriber.next)};
  subscriber.next = next();
  subscriber.sent = end;
  return delta;
}

}  // namespace aorta::admission
