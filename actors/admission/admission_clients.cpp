// What fronts ask of admission, and what clients are told.
#include <fmt/format.h>

#include <algorithm>

#include "actors/admission/admission.hpp"
#include "actors/admission/intake.hpp"

namespace aorta::admission {
namespace {

using std::chrono::milliseconds;

OnDisconnect on_disconnect_of(const GenerateRequest& ask) {
  if (ask.on_disconnect) return *ask.on_disconnect;
  return ask.idempotency_key.empty() ? OnDisconnect::cancel : OnDisconnect::park;
}

Rejected not_found(RequestId id) {
  return {.request = id,
          .status = 404,
          .code = "request_not_found",
          .message = fmt::format("Request {} is not known here: it was never accepted, is another "
                                 "tenant's, or ended too long ago.",
                                 id.to_string())};
}

}  // namespace

TimePoint Admission::deadline_of(const GenerateRequest& ask, TimePoint now) const {
  const std::uint32_t asked = ask.timeout_ms == 0 ? options_.default_timeout_ms : ask.timeout_ms;
  return now + milliseconds(std::min(asked, options_.max_timeout_ms));
}

Verdict Admission::draining_verdict() const {
  Verdict verdict{Verdict::Kind::refuse};
  verdict.status = 503;
  verdict.code = "draining";
  verdict.message = "This admission is leaving and takes no more requests. Try again.";
  verdict.retry_after_ms = options_.retry_after_least_ms;
  return verdict;
}

void Admission::generate(ConnectionId connection, GenerateRequest ask, TimePoint now,
                         mesh::Outbox& out) {
  if (Request* same = table_.find_key(ask.tenant, ask.idempotency_key)) {
    repeat(connection, ask, *same, now, out);
    return settle(now, out);
  }
  const RequestId id = ask.id;
  if (draining_) {
    return reject_verdict(connection, id, draining_verdict());
  }
  std::string model = name_of_model(ask.model);
  if (!models_.contains(model)) {
    return reject(connection, {.request = id,
                               .status = 404,
                               .code = "model_not_found",
                               .message = fmt::format("Model '{}' is not served here: ask for one "
                                                      "of the models listed, or for 'default'.",
                                                      model),
                               .param = "model"});
  }
  if (table_.find(id) != nullptr) {
    return reject(connection, {.request = id,
                               .status = 409,
                               .code = "request_exists",
                               .message = "A request with this id is known already."});
  }
  const Duration remaining = deadline_of(ask, now) - now;
  const auto verdict = shedding_.judge(ask.tenant, ask.tier, remaining, now, id.low);
  if (verdict.kind == Verdict::Kind::refuse) return reject_verdict(connection, id, verdict);
  admit(connection, std::move(ask), std::move(model), verdict.hold, now, out);
  settle(now, out);
}

// The same key again: the same request from its beginning, if it is the same request.
void Admission::repeat(ConnectionId connection, const GenerateRequest& ask, Request& request,
                       TimePoint now, mesh::Outbox& out) {
  if (request.body_digest == ask.body_digest) {
    return attach(connection, TokenIndex{0}, request, now, out);
  }
  reject(connection, {.request = ask.id,
                      .status = 409,
                      .code = "idempotency_conflict",
                      .message = "This idempotency key was used with another request body: send "
                                 "the same body, or another key."});
}

void Admission::admit(ConnectionId connection, GenerateRequest ask, std::string model,
                      Duration hold, TimePoint now, mesh::Outbox& out) {
  const auto& text_model = models_.at(model);
  const TimePoint deadline = deadline_of(ask, now);
  const OnDisconnect on_disconnect = on_disconnect_of(ask);  // reads what is moved from below
  auto taken = take_in(ask, *text_model, options_);
  if (auto* refusal = std::get_if<Rejected>(&taken)) {
    return reject(connection, std::move(*refusal));
  }
  auto& intake = std::get<Intake>(taken);
  auto request = std::make_unique<Request>(Request{
      .id = ask.id,
      .tenant = std::move(ask.tenant),
      .model = std::move(model),
      .idempotency_key = std::move(ask.idempotency_key),
      .body_digest = std::move(ask.body_digest),
      .tier = ask.tier,
      .determinism = ask.determinism,
      .on_disconnect = on_disconnect,
      .sampling = sampling_fields(ask.sampling),
      .min_tokens = ask.min_tokens,
      .stop_ids = ask.ignore_eos ? std::vector<TokenId>{} : text_model->stop_ids(),
      .ledger =
          Ledger(std::move(intake.prompt), intake.max_tokens, text_model, std::move(ask.stop)),
      .arrived = now,
      .deadline = deadline,
      .last_token = now,
      .state = Held{now + hold}});
  Request& added = table_.add(std::move(request));
  shedding_.entered(added);
  shedding_.taken(now);
  added.ledger.attach(connection, TokenIndex{0});
  connections_[connection].requests.insert(added.id);
  if (hold == Duration::zero()) return accept(added, now, out);
  // Not accepted yet: that is a promise, and with no executor there is nothing to keep it with.
  table_.set_alarm(added, wake(added));
  held_.push_back(added.id);
}

void Admission::accept(Request& request, TimePoint now, mesh::Outbox& out) {
  ++tally_.accepted;
  request.next_waiting = now + milliseconds(options_.waiting_every_ms);
  begin_epoch(request);
  for (const auto& subscriber : request.ledger.subscribers()) {
    emit(subscriber.connection, Accepted{request.id, request.model, request.sampling.seed});
  }
  submit(request, now, out);
}

// Those held are accepted as soon as an executor is ready, first come first, or refused as soon as
// none is to be expected.
void Admission::release_held(TimePoint now, mesh::Outbox& out) {
  if (held_.empty()) return;
  const Verdict verdict = draining_ ? draining_verdict() : shedding_.judge_held(now);
  if (verdict.kind == Verdict::Kind::hold) return;
  for (const RequestId id : std::exchange(held_, {})) {
    Request* request = table_.find(id);
    if (request == nullptr || request->accepted()) continue;
    if (verdict.kind == Verdict::Kind::take) {
      accept(*request, now, out);
    } else {
      refuse_held(*request, verdict);
    }
  }
}

void Admission::reject(ConnectionId connection, Rejected rejected) {
  ++tally_.rejected[rejected.code];
  emit(connection, std::move(rejected));
}

void Admission::reject_verdict(ConnectionId connection, RequestId id, const Verdict& verdict) {
  reject(connection, {.request = id,
                      .status = verdict.status,
                      .code = verdict.code,
                      .message = verdict.message,
                      .retry_after_ms = verdict.retry_after_ms});
}

void Admission::refuse_held(Request& request, const Verdict& verdict) {
  for (const auto& subscriber : request.ledger.subscribers()) {
    unlink(subscriber.connection, request.id);
    reject_verdict(subscriber.connection, request.id, verdict);
  }
  shedding_.left(request);
  std::erase(held_, request.id);
  table_.erase(request.id);
}

void Admission::resume(ConnectionId connection, const std::string& tenant, RequestId id,
                       TokenIndex next, TimePoint now, mesh::Outbox& out) {
  Request* request = table_.find(id);
  if (request == nullptr || request->tenant != tenant) return reject(connection, not_found(id));
  if (next > request->ledger.next()) {
    return reject(connection,
                  {.request = id,
                   .status = 400,
                   .code = "index_out_of_range",
                   .message = fmt::format("Token {} was asked for, but the answer has {} tokens "
                                          "so far: ask for the first that is missing.",
                                          next.value, request->ledger.next().value),
                   .param = "next_index"});
  }
  attach(connection, next, *request, now, out);
  settle(now, out);
}

void Admission::cancel(ConnectionId connection, const std::string& tenant, RequestId id,
                       TimePoint now, mesh::Outbox& out) {
  Request* request = table_.find(id);
  if (request == nullptr || request->tenant != tenant) return reject(connection, not_found(id));
  const auto& subscribers = request->ledger.subscribers();
  const bool subscribed =
      std::any_of(subscribers.begin(), subscribers.end(),
                  [&](const Subscriber& one) { return one.connection == connection; });
  if (!request->accepted()) {
    Verdict verdict{Verdict::Kind::refuse};
    verdict.status = 499;
    verdict.code = "cancelled";
    verdict.message = "The request was cancelled before it was accepted.";
    if (!subscribed) reject_verdict(connection, id, verdict);
    return refuse_held(*request, verdict);
  }
  if (request->phase() != Phase::ended) {
    end(*request, {.finish_reason = "cancelled"}, now, out);
  }
  // Who cancels is answered, whoever reads the stream.
  if (!subscribed) emit_ending(connection, *request);
  settle(now, out);
}

void Admission::gone(ConnectionId connection, TimePoint now, mesh::Outbox& out) {
  auto it = connections_.find(connection);
  if (it == connections_.end()) return;
  const std::set<RequestId> requests = std::move(it->second.requests);
  connections_.erase(it);
  for (const RequestId id : requests) {
    Request* request = table_.find(id);
    if (request == nullptr) continue;
    request->ledger.detach(connection);
    if (request->ledger.subscribers().empty()) lost_its_clients(*request, now, out);
  }
  settle(now, out);
}

void Admission::lost_its_clients(Request& request, TimePoint now, mesh::Outbox& out) {
  if (request.phase() == Phase::ended || request.phase() == Phase::parked) return;
  if (!request.accepted()) {  // nothing was promised
    ++tally_.rejected["client_gone"];
    return refuse_held(request, {});
  }
  switch (request.on_disconnect) {
    case OnDisconnect::cancel:
      return end(request, {.finish_reason = "cancelled"}, now, out);
    case OnDisconnect::park:
      return park(request, now, out);
    case OnDisconnect::finish:
      return;
  }
}

void Admission::hold(ConnectionId connection, bool held, TimePoint now, mesh::Outbox& out) {
  if (held) {
    connections_[connection].held = true;
    return;
  }
  auto it = connections_.find(connection);
  if (it == connections_.end()) return;
  it->second.held = false;
  const std::set<RequestId> requests = it->second.requests;  // publishing unlinks the ended
  if (requests.empty()) connections_.erase(it);
  for (const RequestId id : requests) {
    if (Request* request = table_.find(id)) publish(*request);
  }
  settle(now, out);
}

}  // namespace aorta::admission
