// The lives of a request on executors: placed, started, streamed, lost, begun again.
#include <algorithm>

#include "actors/admission/admission.hpp"

namespace aorta::admission {

using mesh::LostReason;
using std::chrono::milliseconds;

bool Admission::connected(const mesh::PeerId& executor) const {
  const mesh::Peering::Peer* peer = peering_.find(executor.name);
  return peer != nullptr && peer->introduced && peer->self == executor;
}

void Admission::submit(const Request& request, TimePoint now, mesh::Outbox& out) {
  out.send(scheduler, mesh::Submit{request.open(now), request.prefix(options_.prefix_blocks)});
}

void Admission::send_closed(const Request& request, mesh::Outbox& out) {
  out.send(scheduler, mesh::Closed{request.id, request.ledger.next().value});
}

void Admission::begin_epoch(Request& request) {
  request.begin_epoch_record();
  ++tally_.epochs;
  enter(request, Queued{});
}

// The upper half of an epoch is the life's: no epoch of this one may reach into the next. True:
// there is none left, and the request has ended.
bool Admission::worn_out(Request& request, TimePoint now, mesh::Outbox& out) {
  if (!last_of_life(request.epoch)) return false;
  end(request,
      {.status = 500,
       .code = "worn_out",
       .message = "This request has begun 65535 times on executors, and no number is left for "
                  "another time. Ask anew, and see why executors refuse or lose it."},
      now, out);
  return true;
}

void Admission::on_placed(const mesh::Placed& placed, TimePoint now, mesh::Outbox& out) {
  const auto decline = [&] {  // the executor has no Start of it; should it have, it forgets it
    if (connected(placed.executor)) out.send(placed.executor, mesh::Stop{placed.key});
  };
  Request* request = table_.find(placed.key.request);
  const bool open = request != nullptr && table_.active().contains(request->id);
  if (!open) {
    decline();
    out.send(scheduler, mesh::Closed{.request = placed.key.request});
    return;
  }
  if (placed.key.epoch != request->epoch) return decline();
  if (const Placed* present = request->placed()) {
    // Twice the same is an echo. Elsewhere: the first stays, and the next beat says so.
    if (present->executor != placed.executor) decline();
    return;
  }
  request->epochs.back().executor = placed.executor.name;
  request->first_placed = std::min(request->first_placed, now);
  const mesh::Peering::Peer* peer = peering_.find(placed.executor.name);
  if (peer != nullptr && peer->self.incarnation > placed.executor.incarnation) {
    return lose(*request, LostReason::superseded, now, out);
  }
  const bool here = connected(placed.executor);
  Placed state{placed.executor, mesh::TokenReceiver(request->key(), request->ledger.next())};
  if (!here) state.join_by = now + milliseconds(options_.executor_wait_ms);  // it dials us
  enter(*request, std::move(state));
  acks_.hold(placed.executor, request->id, here, now);
  if (here) send_start(*request, out);
}

void Admission::send_start(Request& request, mesh::Outbox& out) {
  Placed& placed = *request.placed();
  placed.started = true;
  out.send(placed.executor, request.start(options_.lease_ms));
}

bool Admission::crashed_too_often(Request& request, const mesh::Lost& lost) const {
  // The cause may be known after the epoch was already given up: each epoch counts once.
  if (!lost.counted_crash || lost.key.epoch <= request.last_crash) return false;
  request.last_crash = lost.key.epoch;
  return ++request.crashes >= options_.poison_crashes;
}

void Admission::on_lost(const mesh::Lost& lost, TimePoint now, mesh::Outbox& out) {
  Request* request = table_.find(lost.key.request);
  if (request == nullptr) return;
  if (lost.key.epoch > request->epoch) return hand_over(*request, now, out);
  const Phase phase = request->phase();
  if (phase == Phase::held || phase == Phase::ended) return;
  if (crashed_too_often(*request, lost)) {
    if (request->epoch == lost.key.epoch) request->epochs.back().lost = lost.reason;
    return end(*request,
               {.status = 500,
                .code = "poison",
                .message = "The engine crashed each time it worked on this request; it is not "
                           "tried again."},
               now, out);
  }
  // Also when it is queued as far as we know: its Placed may be what was lost.
  if (lost.key.epoch == request->epoch && phase != Phase::parked) {
    lose(*request, lost.reason, now, out);
  }
}

// This epoch brings no more: the next one takes the request's old place, with what was generated.
void Admission::lose(Request& request, LostReason reason, TimePoint now, mesh::Outbox& out) {
  if (worn_out(request, now, out)) return;
  leave_executor(request, out);
  request.epochs.back().lost = reason;
  ++tally_.lost[reason];
  ++request.epoch;
  if (request.next_waiting <= now) {
    request.next_waiting = now + milliseconds(options_.waiting_every_ms);
  }
  begin_epoch(request);
  // An executor without room says so at once, and may be chosen again at once: then the next beat
  // is soon enough to ask again.
  if (reason != LostReason::refused) submit(request, now, out);
}

// The executor forgets this epoch: by an acknowledgement of its end, or by a Stop.
void Admission::leave_executor(Request& request, mesh::Outbox& out) {
  const Placed* placed = request.placed();
  if (placed == nullptr) return;
  if (placed->receiver.complete()) {
    acks_.complete(placed->executor, placed->receiver.ack());
    return;
  }
  acks_.release(placed->executor, request.id);
  if (placed->started && connected(placed->executor)) {
    out.send(placed->executor, mesh::Stop{request.key()});
  }
}

void Admission::park(Request& request, TimePoint now, mesh::Outbox& out) {
  send_closed(request, out);
  leave_executor(request, out);
  enter(request, Parked{now + milliseconds(options_.park_ms)});
}

void Admission::unpark(Request& request, TimePoint now, mesh::Outbox& out) {
  if (request.cut_at_once()) return end(request, request.ended_before->outcome, now, out);
  if (worn_out(request, now, out)) return;
  ++request.epoch;
  request.next_waiting = now + milliseconds(options_.waiting_every_ms);
  begin_epoch(request);
  submit(request, now, out);
}

void Admission::on_tokens(const mesh::PeerId& from, const mesh::Tokens& tokens, TimePoint now,
                          mesh::Outbox& out) {
  for (const mesh::TokenRun& run : tokens.runs) {
    Request* request = table_.find(run.key.request);
    const Placed* placed = request == nullptr ? nullptr : request->placed();
    if (placed == nullptr || placed->executor != from || request->epoch != run.key.epoch) {
      ++tally_.stale_runs;
      out.send(from, mesh::Stop{run.key});
      continue;
    }
    on_run(*request, run, tokens.numerics_id, now, out);
  }
}

void Admission::on_run(Request& request, const mesh::TokenRun& run, const std::string& numerics_id,
                       TimePoint now, mesh::Outbox& out) {
  Placed& placed = *request.placed();
  Ledger& ledger = request.ledger;
  const bool other_numerics = !request.numerics_id.empty() && numerics_id != request.numerics_id;
  if (other_numerics && request.determinism == mesh::Determinism::strict) {
    return lose(request, LostReason::refused, now, out);
  }
  if (!ledger.knows(run)) {
    return end(request,
               {.status = 500,
                .code = "engine_error",
                .message = "An executor answered with tokens that this model does not have: it "
                           "serves another model under the same name."},
               now, out);
  }
  placed.heard = true;
  placed.join_by = never;
  auto accepted = placed.receiver.accept(run);
  if (accepted.malformed) {
    return end(request,
               {.status = 500,
                .code = "engine_error",
                .message = "An executor answered with log-probabilities of some tokens only: its "
                           "version of aorta does not fit this admission's."},
               now, out);
  }
  if (accepted.gap) {
    if (now < placed.next_expect) return;
    placed.next_expect = now + milliseconds(options_.ack_every_ms);
    ++tally_.gaps;
    out.send(placed.executor, mesh::Expect{run.key, placed.receiver.next()});
    return;
  }
  acks_.news(placed.executor);
  if (accepted.ids.empty() && accepted.finish == mesh::Finish::none) return;
  note_cached(request, run);
  if (other_numerics) request.same_numerics = false;
  if (request.numerics_id.empty()) note_numerics(request, numerics_id);
  request.numerics_id = numerics_id;
  const bool cut = cut_again(request, accepted);
  const mesh::Finish finish = ledger.append(accepted.ids, accepted.finish, accepted.logprobs);
  note_latency(request, accepted.ids.size(), now);
  if (cut) return end(request, request.ended_before->outcome, now, out);
  if (finish == mesh::Finish::none) {
    if (publish(request)) lost_its_clients(request, now, out);
    return;
  }
  end(request, {.finish_reason = finish == mesh::Finish::stop ? "stop" : "length"}, now, out);
}

// An answer that was cut in an earlier life ends where its client has seen it end.
bool Admission::cut_again(const Request& request, mesh::TokenReceiver::Accepted& accepted) {
  if (!request.ended_before || !request.ended_before->cut()) return false;
  const std::size_t left = request.ended_before->tokens.value - request.ledger.next().value;
  if (accepted.ids.size() < left) return false;
  if (accepted.ids.size() > left) accepted.finish = mesh::Finish::none;
  accepted.ids.resize(left);
  if (!accepted.logprobs.empty()) accepted.logprobs.resize(left);
  return true;
}

// Told with the first ids of an epoch. What clients are told is how their prompt was met.
void Admission::note_cached(Request& request, const mesh::TokenRun& run) {
  EpochRecord& epoch = request.epochs.back();
  if (run.first == epoch.first) epoch.cached_tokens = run.cached_tokens;
  if (request.cached_tokens) return;
  const std::uint32_t prompt = request.ledger.usage().prompt_tokens;
  request.cached_tokens = std::min(run.cached_tokens, prompt);
}

void Admission::note_latency(Request& request, std::size_t tokens, TimePoint now) {
  if (tokens == 0) return;
  tally_.tokens += tokens;
  model_tallies_.at(request.model).generated(request, tokens, now);
  const double since_s = std::chrono::duration<double>(now - request.last_token).count();
  if (request.first_token == never) {
    tally_.first_token[static_cast<std::size_t>(request.tier)].observe(since_s);
    request.first_token = now;
  } else {
    tally_.between_tokens.observe(since_s / static_cast<double>(tokens), tokens);
  }
  request.last_token = now;
}

void Admission::on_declined(const mesh::PeerId& from, const mesh::Declined& declined, TimePoint now,
                            mesh::Outbox& out) {
  Request* request = table_.find(declined.key.request);
  Placed* placed = request == nullptr ? nullptr : request->placed();
  if (placed == nullptr || placed->executor != from || request->epoch != declined.key.epoch) {
    return;
  }
  placed->started = false;  // it has forgotten the epoch: nothing to stop
  if (!declined.invalid) return lose(*request, declined.reason, now, out);
  request->epochs.back().lost = declined.reason;
  end(*request, {.status = 400, .code = "invalid_request", .message = declined.sentence}, now, out);
}

void Admission::on_executor_joined(const mesh::PeerId& executor, TimePoint now, mesh::Outbox& out) {
  for (const mesh::PeerId& life : acks_.lives_of(executor.name)) {
    if (life.incarnation < executor.incarnation) {
      executor_gone(life, LostReason::superseded, now, out);
    }
  }
  reach(executor, out);
}

// The executor is there, as far as we know. What it may not have got is said again: a second Start
// changes nothing there. Whether it arrives shows by join_by.
void Admission::reach(const mesh::PeerId& executor, mesh::Outbox& out) {
  acks_.set_connected(executor, true);
  const AckBook::Entry* entry = acks_.find(executor);
  if (entry == nullptr) return;
  for (const RequestId id : entry->held) {
    Request& request = *table_.find(id);
    if (!request.placed()->heard) send_start(request, out);
  }
}

void Admission::executor_gone(const mesh::PeerId& executor, LostReason reason, TimePoint now,
                              mesh::Outbox& out) {
  for (const RequestId id : acks_.drop(executor)) {
    Request& request = *table_.find(id);
    request.placed()->started = false;  // nobody is left to be told Stop
    lose(request, reason, now, out);
  }
}

// The wire found nobody under an executor's routing id. Its death is the scheduler's to declare; a
// broken connection comes back, and until then nothing sent there arrives.
void Admission::unreachable(const mesh::PeerId& peer, TimePoint now, mesh::Outbox& out) {
  const AckBook::Entry* entry = acks_.find(peer);
  if (entry == nullptr) return settle(now, out);
  acks_.set_connected(peer, false);
  for (const RequestId id : entry->held) {
    Request& request = *table_.find(id);
    Placed& placed = *request.placed();
    if (placed.join_by == never) {
      placed.join_by = now + milliseconds(options_.executor_wait_ms);
    }
    table_.set_alarm(request, wake(request));
  }
  settle(now, out);
}

// A connection that ZeroMQ has mended says nothing of it: with each beat, unreachable executors are
// tried again.
void Admission::try_unconnected(mesh::Outbox& out) {
  for (const auto& [executor, entry] : acks_.entries()) {
    if (!entry.connected && connected(executor)) reach(executor, out);
  }
}

void Admission::send_acks(TimePoint now, mesh::Outbox& out) {
  for (const mesh::PeerId& executor : acks_.due(now)) {
    const AckBook::Entry& entry = *acks_.find(executor);
    mesh::Ack ack{entry.endings};
    for (const RequestId id : entry.held) {
      ack.items.push_back(table_.find(id)->placed()->receiver.ack());
    }
    acks_.sent(executor, now);
    out.send(executor, std::move(ack));
  }
}

}  // namespace aorta::admission
