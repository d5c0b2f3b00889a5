// What clients are told, and how a request ends.
#include "actors/admission/admission.hpp"

namespace aorta::admission {

using std::chrono::milliseconds;

void Admission::attach(ConnectionId connection, TokenIndex next, Request& request, TimePoint now,
                       mesh::Outbox& out) {
  if (request.phase() == Phase::parked && draining_) {
    return reject_verdict(connection, request.id, draining_verdict());
  }
  request.ledger.attach(connection, next);
  connections_[connection].requests.insert(request.id);
  if (!request.accepted()) return;
  emit(connection, Accepted{request.id, request.model, request.sampling.seed});
  if (request.phase() == Phase::parked) unpark(request, now, out);
  publish(request);
}

void Admission::unlink(ConnectionId connection, RequestId id) {
  auto it = connections_.find(connection);
  if (it == connections_.end()) return;
  it->second.requests.erase(id);
  if (it->second.requests.empty() && !it->second.held) connections_.erase(it);
}

// Tells each subscriber whose socket takes it what it has not got, and how it ended.
void Admission::publish(Request& request) {
  if (!request.accepted()) return;
  std::erase_if(request.ledger.subscribers(), [&](Subscriber& subscriber) {
    if (connections_.at(subscriber.connection).held) return false;
    if (auto delta = request.ledger.take_delta(request.id, subscriber)) {
      emit(subscriber.connection, std::move(*delta));
    }
    if (!request.ledger.outcome()) return false;
    emit_ending(subscriber.connection, request);
    unlink(subscriber.connection, request.id);
    return true;
  });
}

void Admission::end(Request& request, Outcome outcome, TimePoint now, mesh::Outbox& out) {
  if (request.phase() != Phase::parked) out.send(scheduler, mesh::Closed{request.id});
  leave_executor(request, out);
  ++tally_.ended[outcome.name()];
  request.ledger.close(std::move(outcome));
  enter(request, Ended{now + milliseconds(options_.retain_ms)});
  ended_.push_back(record_of(request));
  if (ended_.size() > options_.audit_requests) ended_.pop_front();
  publish(request);
  table_.retain(request);
}

void Admission::forget(Request& request) {
  for (const auto& subscriber : request.ledger.subscribers()) {
    unlink(subscriber.connection, request.id);
    emit(subscriber.connection,
         Failed{request.id, 408, "client_too_slow",
                "The answer was complete, but the client did not read it in time."});
  }
  table_.erase(request.id);
}

void Admission::emit_ending(ConnectionId connection, const Request& request) {
  const Outcome& outcome = *request.ledger.outcome();
  if (outcome.failed()) {
    return emit(connection, Failed{request.id, outcome.status, outcome.code, outcome.message});
  }
  emit(connection, Done{request.id, outcome.finish_reason, request.ledger.usage(),
                        request.epoch.value, request.same_numerics});
}

void Admission::emit(ConnectionId connection, ClientEvent event) {
  events_.push_back({connection, std::move(event)});
}

}  // namespace aorta::admission
