#include "actors/admission/admission.hpp"

#include <algorithm>

namespace aorta::admission {

using std::chrono::milliseconds;

namespace {

const Outcome too_slow{
    .status = 408,
    .code = "client_too_slow",
    .message = "The answer was complete, but the client did not read it in time."};

}  // namespace

Admission::Admission(mesh::Hello self, AdmissionOptions options, Models models)
    : options_(std::move(options)),
      models_(std::move(models)),
      peering_(std::move(self)),
      table_(options_.retain_requests, options_.retain_bytes),
      shedding_(options_),
      acks_(milliseconds(options_.ack_every_ms), milliseconds(options_.lease_ms / 4)) {
  for (const auto& [id, model] : models_) model_tallies_.emplace(id, model->context_tokens());
}

void Admission::start(TimePoint now, mesh::Outbox& out) {
  peering_.dial(scheduler.name, options_.scheduler_address, now, out);
  next_beat_ = now;
  if (options_.monitor_address.empty()) return;
  peering_.dial(monitor.name, options_.monitor_address, now, out);
  next_report_ = now;
}

void Admission::receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
                        mesh::Outbox& out) {
  using Outcome = mesh::Peering::Outcome;
  switch (peering_.handle(from, message, now, out)) {
    case Outcome::none:
      dispatch(from, message, now, out);
      break;
    case Outcome::joined:
    case Outcome::restarted: {
      const mesh::Peering::Peer* peer = peering_.find(from.name);
      if (from.name == scheduler.name) {
        beat(now, out);  // it may know nothing of what is open
      } else if (peer->kind == mesh::ServiceKind::executor) {
        on_executor_joined(peer->self, now, out);
      }
      break;
    }
    case Outcome::leave:
      leave(now, out);
      break;
    case Outcome::consumed:
    case Outcome::stale:
      break;
  }
  settle(now, out);
}

void Admission::dispatch(const mesh::PeerId& from, const mesh::Message& message, TimePoint now,
                         mesh::Outbox& out) {
  const mesh::Peering::Peer* peer = peering_.find(from.name);
  if (peer->dialled && from.name == scheduler.name) {
    return on_scheduler_message(message, now, out);
  }
  if (peer->introduced && peer->kind == mesh::ServiceKind::executor) {
    return on_executor_message(from, message, now, out);
  }
  if (!peer->dialled || from.name != monitor.name) return;
  if (const auto* request = std::get_if<mesh::AuditRequest>(&message)) {
    out.send(monitor, mesh::AuditReply{request->token, audit()});
  } else if (std::holds_alternative<mesh::Drain>(message)) {
    drain(now, out);
  }
}

void Admission::on_scheduler_message(const mesh::Message& message, TimePoint now,
                                     mesh::Outbox& out) {
  if (const auto* placed = std::get_if<mesh::Placed>(&message)) {
    on_placed(*placed, now, out);
  } else if (const auto* lost = std::get_if<mesh::Lost>(&message)) {
    on_lost(*lost, now, out);
  } else if (const auto* figures = std::get_if<mesh::SchedulerBeat>(&message)) {
    shedding_.observe(*figures, now);
    scheduler_beat_ = figures->count;
    release_held(now, out);
  } else if (const auto* membership = std::get_if<mesh::Membership>(&message)) {
    // Versions count one scheduler's life: a smaller one is another's, which knows nothing yet.
    if (membership->version < membership_version_) beat(now, out);
    membership_version_ = membership->version;
  }
}

void Admission::on_executor_message(const mesh::PeerId& from, const mesh::Message& message,
                                    TimePoint now, mesh::Outbox& out) {
  if (const auto* tokens = std::get_if<mesh::Tokens>(&message)) {
    on_tokens(from, *tokens, now, out);
  } else if (const auto* declined = std::get_if<mesh::Declined>(&message)) {
    on_declined(from, *declined, now, out);
  } else if (std::holds_alternative<mesh::Goodbye>(message)) {
    peering_.forget(from.name, now);
    executor_gone(from, mesh::LostReason::draining, now, out);
  }
}

// The one place where a request changes its state.
void Admission::enter(Request& request, State state) {
  shedding_.left(request);
  request.state = std::move(state);
  shedding_.entered(request);
  const Phase phase = request.phase();
  table_.set_active(request, phase == Phase::queued || phase == Phase::placed);
  table_.set_alarm(request, wake(request));
}

// When a request must be looked at although nothing came for it. A stream's progress moves no
// alarm: it costs nothing per token.
TimePoint Admission::wake(const Request& request) const {
  struct Visitor {
    const Request& request;
    TimePoint operator()(const Held& held) const { return held.until; }
    TimePoint operator()(const Queued&) const {
      return std::min(request.deadline, request.next_waiting);
    }
    TimePoint operator()(const Placed& placed) const {
      const TimePoint next = std::min(request.deadline, placed.join_by);
      return request.waits() ? std::min(next, request.next_waiting) : next;
    }
    TimePoint operator()(const Parked& parked) const {
      return std::min(request.deadline, parked.until);
    }
    TimePoint operator()(const Ended& ended) const { return ended.forget_at; }
  };
  return std::visit(Visitor{request}, request.state);
}

void Admission::on_alarm(Request& request, TimePoint now, mesh::Outbox& out) {
  if (const auto* held = std::get_if<Held>(&request.state); held && now >= held->until) {
    if (held->journaled_at != never) {
      return refuse_held(request, journal_verdict(slow_journal));
    }
    Verdict verdict{Verdict::Kind::refuse};
    verdict.status = 503;
    verdict.code = "no_executor_ready";
    verdict.message = "No executor has become ready in time; some are starting. Try again later.";
    verdict.retry_after_ms = options_.retry_after_least_ms;
    return refuse_held(request, verdict);
  }
  if (request.phase() == Phase::ended) return forget(request, too_slow);
  if (now >= request.deadline) return end(request, {.finish_reason = "timeout"}, now, out);
  if (const auto* parked = std::get_if<Parked>(&request.state); parked && now >= parked->until) {
    return end(request, {.finish_reason = "cancelled"}, now, out);
  }
  if (Placed* placed = request.placed(); placed && now >= placed->join_by) {
    const AckBook::Entry* entry = acks_.find(placed->executor);
    const bool reached = entry != nullptr && entry->connected && placed->started;
    if (!reached) return lose(request, mesh::LostReason::unclaimed, now, out);
    placed->join_by = never;
  }
  if (request.phase() == Phase::queued && shedding_.abandoned(request.tier, now)) {
    return end(request,
               {.status = 503,
                .code = "no_executor",
                .message = "No executor is running and none is wanted any more, for longer than "
                           "this request may wait for one. Ask again when there are some."},
               now, out);
  }
  if (now >= request.next_waiting) {
    request.next_waiting = now + milliseconds(options_.waiting_every_ms);
    if (request.waits() && speaks_for_those_waiting(request)) {
      for (const auto& subscriber : request.ledger.subscribers()) {
        const auto connection = connections_.find(subscriber.connection);
        const bool full = connection != connections_.end() && connection->second.held;
        if (!full) emit(subscriber.connection, Waiting{request.public_id()});
      }
    }
  }
  table_.set_alarm(request, wake(request));
}

// One sign of life for a request, not one for each of its choices.
bool Admission::speaks_for_those_waiting(const Request& request) const {
  const auto choices = table_.choices_of(request);
  const auto waits = [](const Request* choice) { return choice->waits(); };
  return *std::find_if(choices.begin(), choices.end(), waits) == &request;
}

void Admission::beat(TimePoint now, mesh::Outbox& out) {
  mesh::AdmissionBeat beat{.state = state(), .heard = scheduler_beat_};
  beat.open.reserve(table_.active().size());
  for (const auto& [id, request] : table_.active()) beat.open.push_back(request->open(now));
  out.send(scheduler, std::move(beat));
  next_beat_ = now + milliseconds(options_.beat_every_ms);
}

void Admission::report(TimePoint now, mesh::Outbox& out) {
  out.send(monitor, mesh::Report{state(), figures(now)});
  next_report_ = now + milliseconds(options_.report_every_ms);
}

void Admission::tick(TimePoint now, mesh::Outbox& out) {
  if (left_) return;
  peering_.tick(now, out);
  while (Request* request = table_.take_alarm(now)) on_alarm(*request, now, out);
  give_up_returns(now);
  if (now >= next_beat_) {
    try_unconnected(out);
    beat(now, out);
  }
  if (now >= next_report_) report(now, out);
  settle(now, out);
}

TimePoint Admission::next_tick() const {
  if (left_) return never;
  TimePoint next = std::min({peering_.next_tick(), table_.next_alarm(), acks_.next_due(),
                             next_beat_, next_report_, drain_until_});
  if (returning_ == 0) return next;
  for (const Asked& asked : asked_) {
    if (asked.wanted && asked.back) next = std::min(next, asked.back->until);
  }
  return next;
}

mesh::ServiceState Admission::state() const {
  if (draining_) return mesh::ServiceState::draining;
  return peering_.find(scheduler.name) ? mesh::ServiceState::ready : mesh::ServiceState::starting;
}

void Admission::settle(TimePoint now, mesh::Outbox& out) {
  if (left_) return;
  while (Request* surplus = table_.surplus()) forget(*surplus, too_slow);
  send_acks(now, out);
  if (!draining_) return;
  const bool all_told =
      std::all_of(connections_.begin(), connections_.end(),
                  [](const auto& entry) { return entry.second.requests.empty(); });
  if (now < drain_until_ && !(table_.active().empty() && all_told)) return;
  leave(now, out);
  out.leave = mesh::Outbox::Leave{0, "drained"};
}

void Admission::drain(TimePoint now, mesh::Outbox& out) {
  if (draining_ || left_) return;
  draining_ = true;
  drain_until_ = now + milliseconds(options_.drain_ms);
  beat(now, out);
  release_held(now, out);
  settle(now, out);
}

// Nothing may stay without an answer: what is still open fails, and says why; so does the stream of
// a client that has not read all of a finished one.
void Admission::leave(TimePoint now, mesh::Outbox& out) {
  if (left_) return;
  draining_ = true;
  release_held(now, out);
  give_up_returns(now);
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    if (asked_[i].wanted) refuse_held(*table_.find(asked_[i].request), draining_verdict());
  }
  const std::size_t noted = journal_.size();
  const Outcome cut{
      .status = 503,
      .code = "shutting_down",
      .message = "This admission has left before the answer was complete. Ask again."};
  for (const auto& [id, request] : table_.all()) {
    if (request->phase() != Phase::ended) end(*request, cut, now, out);
    for (const auto& subscriber : request->ledger.subscribers()) {
      emit_failed(subscriber.connection, *request, cut);
    }
    request->ledger.subscribers().clear();
  }
  journal_.resize(noted);  // what was only cut here, the next life goes on with
  connections_.clear();
  left_ = true;
  send_acks(never, out);  // all that are owed: executors need not wait for what we have
  for (const auto& [name, peer] : peering_.peers()) {
    out.send(peer.introduced ? peer.self : mesh::PeerId{name, {}}, mesh::Goodbye{});
  }
}

}  // namespace aorta::admission
