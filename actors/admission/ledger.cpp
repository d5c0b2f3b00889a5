#include "actors/admission/ledger.hpp"

#include <algorithm>

#include "base/delivered_hash.hpp"
#include "base/result.hpp"

namespace aorta::admission {

const std::string& Outcome::name() const {
  static const std::string failed_name = "failed", moved_name = "moved";
  if (!failed()) return finish_reason;
  return code == carried_on ? moved_name : failed_name;
}

Ledger::Ledger(Terms terms)
    : terms_(std::make_shared<const Terms>(std::move(terms))),
      text_(terms_->model, terms_->stop_strings, terms_->reasoning) {}

Usage Ledger::usage() const {
  return {.prompt_tokens = static_cast<std::uint32_t>(prompt().size()),
          .completion_tokens = next().value,
          .reasoning_tokens = text_.reasoning_tokens()};
}

std::size_t Ledger::size_bytes() const {
  std::size_t bytes = sizeof(Ledger) + prompt().capacity() * sizeof(TokenId) +
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
    return id >= 0 && static_cast<std::uint32_t>(id) < terms_->model->vocabulary();
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
  if (terms_->logprobs && logprobs != nullptr && whole) logprobs_.push_back(*logprobs);
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
    if (ended == mesh::Finish::none && generated_.size() >= max_tokens()) {
      ended = mesh::Finish::length;
    }
  }
  if (ids.empty()) ended = finish;
  complete_ = ended != mesh::Finish::none;
  // What was withheld belongs to the end, not to the last id: that may have been delivered without.
  if (complete_ && !text_.stopped()) text_.finish();
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

bool Ledger::attach(ConnectionId connection, const Cursor& at) {
  detach(connection);
  subscribers_.push_back({connection, at.next, at.end_text, true, at.delivered_hash});
  if (agrees_with(subscribers_.back())) return true;
  subscribers_.pop_back();
  return false;
}

bool Ledger::agrees_with(Subscriber& subscriber) const {
  if (!subscriber.ahead) return true;
  if (subscriber.next > next()) return !complete_;
  subscriber.ahead = false;
  const auto delivered = std::span(generated_).first(subscriber.next.value);
  return !subscriber.delivered_hash || *subscriber.delivered_hash == delivered_hash(delivered);
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

bool Ledger::someone_is_ahead() const {
  return std::any_of(subscribers_.begin(), subscribers_.end(),
                     [](const Subscriber& one) { return one.ahead; });
}

// One for each id from `first` on, or none where they were not asked for or one is missing.
std::vector<Delta::Logprobs> Ledger::logprobs_from(TokenIndex first) const {
  std::vector<Delta::Logprobs> found;
  if (logprobs_.size() < generated_.size()) return found;
  const auto resolved = [&](TokenId id, float logprob) {
    return TokenLogprob{std::string(terms_->model->bytes(id)), logprob};
  };
  for (std::size_t i = first.value; i < logprobs_.size(); ++i) {
    Delta::Logprobs& one = found.emplace_back();
    one.chosen = resolved(generated_[i], logprobs_[i].chosen);
    for (const auto& [id, logprob] : logprobs_[i].top) one.top.push_back(resolved(id, logprob));
  }
  return found;
}

Delta Ledger::delta_between(TokenIndex first, TextSize from, TextSize to) const {
  return {.first = first,
          .ids = {generated_.begin() + first.value, generated_.end()},
          .text = text_.text().substr(from.text, to.text - from.text),
          .reasoning = text_.reasoning().substr(from.reasoning, to.reasoning - from.reasoning),
          .logprobs = logprobs_from(first)};
}

std::optional<Delta> Ledger::take_delta(Subscriber& subscriber) const {
  if (subscriber.ahead) return std::nullopt;
  const TokenIndex first = subscriber.next;
  const TextSize by_ids = size_before(next());
  if (first < next()) {
    subscriber.next = next();
    return delta_between(first, size_before(first), by_ids);
  }
  if (!complete_ || subscriber.end_text || by_ids == size()) return std::nullopt;
  subscriber.end_text = true;
  return delta_between(first, by_ids, size());
}

}  // namespace aorta::admission
