// What clients are told, and how a request ends.
#include <algorithm>

#include "actors/admission/admission.hpp"

namespace aorta::admission {

using std::chrono::milliseconds;

namespace {

constexpr int diverged_status = 409;
constexpr const char* diverged_code = "stream_mismatch";
constexpr const char* diverged_message =
    "The tokens that were delivered are not those with which this answer begins: it was generated "
    "again on another kind of machine, or is another request's. Ask anew.";

}  // namespace

void Admission::attach(ConnectionId connection, const std::vector<Cursor>& cursors,
                       const Request& first, TimePoint now, mesh::Outbox& out) {
  const auto choices = table_.choices_of(first);
  const auto parked = [](const Request* choice) { return choice->phase() == Phase::parked; };
  const auto rests = [&](const Request* choice) { return parked(choice) || choice->dormant(); };
  if (draining_ && std::any_of(choices.begin(), choices.end(), rests)) {
    return reject_verdict(connection, first.id, draining_verdict());
  }
  bool agreed = true;
  for (std::size_t i = 0; i < choices.size() && agreed; ++i) {
    agreed = choices[i]->ledger.attach(connection, i < cursors.size() ? cursors[i] : Cursor{});
  }
  if (!agreed) return refuse_diverged(connection, first, now, out);
  for (const Request* choice : choices) connections_[connection].requests.insert(choice->id);
  if (!first.accepted()) return;
  emit_accepted(connection, first);
  for (Request* choice : choices) {
    if (choice->dormant()) revive(*choice);
    if (parked(choice)) unpark(*choice, now, out);
    publish(*choice);
    table_.set_alarm(*choice, wake(*choice));
  }
}

// It may have been the one that read it until now.
void Admission::refuse_diverged(ConnectionId connection, const Request& first, TimePoint now,
                                mesh::Outbox& out) {
  reject(connection, {.request = first.id,
                      .status = diverged_status,
                      .code = diverged_code,
                      .message = diverged_message,
                      .param = "delivered_hash"});
  const auto choices = table_.choices_of(first);
  std::vector<Request*> left;
  for (Request* choice : choices) {
    unlink(connection, choice->id);
    choice->ledger.detach(connection);
    if (choice->accepted() && choice->ledger.subscribers().empty()) left.push_back(choice);
  }
  for (Request* choice : left) lost_its_clients(*choice, now, out);
}

void Admission::unlink(ConnectionId connection, RequestId id) {
  auto it = connections_.find(connection);
  if (it == connections_.end()) return;
  it->second.requests.erase(id);
  if (it->second.requests.empty() && !it->second.held) connections_.erase(it);
}

// Tells each subscriber whose socket takes it what it has not got, and how it ended. True when the
// last of them turned out to have another answer.
bool Admission::publish(Request& request) {
  if (!request.accepted()) return false;
  bool diverged = false;
  std::erase_if(request.ledger.subscribers(), [&](Subscriber& subscriber) {
    if (connections_.at(subscriber.connection).held) return false;
    const bool agrees = request.ledger.agrees_with(subscriber);
    while (auto delta = agrees ? request.ledger.take_delta(subscriber) : std::nullopt) {
      delta->request = request.public_id();
      delta->choice = request.choice();
      emit(subscriber.connection, std::move(*delta));
    }
    if (agrees && !request.ledger.outcome()) return false;
    if (agrees) {
      emit_ending(subscriber.connection, request);
    } else {
      diverged = true;
      emit_failed(subscriber.connection, request,
                  {.status = diverged_status, .code = diverged_code, .message = diverged_message});
    }
    unlink(subscriber.connection, request.id);
    return true;
  });
  return diverged && request.ledger.subscribers().empty();
}

void Admission::end(Request& request, Outcome outcome, TimePoint now, mesh::Outbox& out) {
  if (request.phase() != Phase::parked) send_closed(request, out);
  leave_executor(request, out);
  ++tally_.ended[outcome.name()];
  request.ledger.close(std::move(outcome));
  note_end(request, now);
  model_tallies_.at(request.model).ended(request, now);
  enter(request, Ended{});
  ended_.push_back(record_of(request));
  if (ended_.size() > options_.audit_requests) ended_.pop_front();
  publish(request);
  retain_if_over(request, now);
}

// Choices are remembered and forgotten together: a client resumes them all or none.
void Admission::retain_if_over(const Request& request, TimePoint now) {
  const auto choices = table_.choices_of(request);
  const auto over = [](const Request* choice) { return choice->phase() == Phase::ended; };
  if (!std::all_of(choices.begin(), choices.end(), over)) return;
  for (Request* choice : choices) {
    enter(*choice, Ended{now + milliseconds(options_.retain_ms)});
    table_.retain(*choice);
  }
}

// `unread`: what clients are told that have not taken all of it.
void Admission::forget(const Request& request, const Outcome& unread) {
  erase_record(*table_.choices_of(request).front());
  for (const Request* choice : table_.choices_of(request)) {
    for (const auto& subscriber : choice->ledger.subscribers()) {
      unlink(subscriber.connection, choice->id);
      emit_failed(subscriber.connection, *choice, unread);
    }
    table_.erase(choice->id);
  }
}

void Admission::emit_accepted(ConnectionId connection, const Request& first) {
  emit(connection, Accepted{first.id, first.model, first.sampling.seed, first.choices,
                            first.ledger.usage().prompt_tokens, first.chat, life_of(first.epoch)});
}

void Admission::emit_ending(ConnectionId connection, const Request& request) {
  const Outcome& outcome =
      request.dormant() ? request.ended_before->outcome : *request.ledger.outcome();
  if (outcome.failed()) return emit_failed(connection, request, outcome);
  emit(connection, Done{request.public_id(), outcome.finish_reason, request.usage(),
                        epochs_of(request.epoch), request.same_numerics, request.choice()});
}

void Admission::emit_failed(ConnectionId connection, const Request& request,
                            const Outcome& outcome) {
  emit(connection, Failed{request.public_id(), outcome.status, outcome.code, outcome.message,
                          request.choice()});
}

void Admission::emit(ConnectionId connection, ClientEvent event) {
  events_.push_back({connection, std::move(event)});
}

}  // namespace aorta::admission
