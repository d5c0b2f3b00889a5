#include "actors/admission/ledger.hpp"

#include <algorithm>

#include "base/result.hpp"

namespace aorta::admission {

const std::string& Outcome::name() const {
  static const std::string failed_name = "failed";
  return failed() ? failed_name : finish_reason;
}

Ledger::Ledger(std::vector<TokenId> prompt, std::uint32_t max_tokens,
               std::shared_ptr<const engine::TextModel> model,
               std::vector<std::string> stop_strings)
    : prompt_(std::move(prompt)),
      max_tokens_(max_tokens),
      model_(model),
      text_(std::move(model), std::move(stop_strings)) {}

Usage Ledger::usage() const {
  return {.prompt_tokens = static_cast<std::uint32_t>(prompt_.size()),
          .completion_tokens = next().value};
}

std::size_t Ledger::size_bytes() const {
  return sizeof(Ledger) + prompt_.capacity() * sizeof(TokenId) +
         generated_.capacity() * sizeof(TokenId) + text_ends_.capacity() * sizeof(std::uint32_t) +
         text_.text().capacity();
}

bool Ledger::knows(std::span<const TokenId> ids) const {
  return std::all_of(ids.begin(), ids.end(), [&](TokenId id) {
    return id >= 0 && static_cast<std::uint32_t>(id) < model_->vocabulary();
  });
}

mesh::Finish Ledger::append(std::span<const TokenId> ids, mesh::Finish finish) {
  AORTA_CHECK(!outcome_, "an ended ledger takes no more ids");
  auto ended = mesh::Finish::none;
  for (std::size_t i = 0; i < ids.size() && ended == mesh::Finish::none; ++i) {
    const bool last = i + 1 == ids.size();
    generated_.push_back(ids[i]);
    const bool is_stop_id = last && finish == mesh::Finish::stop;
    const bool stop_string = !is_stop_id && text_.append(ids[i]);
    text_ends_.push_back(static_cast<std::uint32_t>(text_.text().size()));
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
    if (!text_ends_.empty()) text_ends_.back() = static_cast<std::uint32_t>(text_.text().size());
  }
  return ended;
}

void Ledger::close(Outcome outcome) {
  AORTA_CHECK(!outcome_, "a request ends exactly once");
  outcome_ = std::move(outcome);
}

std::size_t Ledger::text_end(TokenIndex next) const {
  return next.value == 0 ? 0 : text_ends_[next.value - 1];
}

void Ledger::attach(ConnectionId connection, TokenIndex next) {
  AORTA_CHECK(next <= this->next(), "a subscriber cannot be ahead of the ledger");
  detach(connection);
  subscribers_.push_back({connection, next, text_end(next)});
}

bool Ledger::detach(ConnectionId connection) {
  return std::erase_if(subscribers_, [&](const Subscriber& subscriber) {
           return subscriber.connection == connection;
         }) > 0;
}

std::optional<Delta> Ledger::take_delta(RequestId request, Subscriber& subscriber) const {
  const std::size_t text_size = text_end(next());
  if (subscriber.next == next() && subscriber.text_sent == text_size) return std::nullopt;
  Delta delta{request,
              subscriber.next,
              {generated_.begin() + subscriber.next.value, generated_.end()},
              text_.text().substr(subscriber.text_sent, text_size - subscriber.text_sent)};
  subscriber.next = next();
  subscriber.text_sent = text_size;
  return delta;
}

}  // namespace aorta::admission
