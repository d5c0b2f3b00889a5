// A request comes in: judged, held, accepted or refused.
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

bool has_tokens(const std::vector<Cursor>& cursors) {
  return std::any_of(cursors.begin(), cursors.end(),
                     [](const Cursor& cursor) { return cursor.next > TokenIndex{}; });
}

std::vector<TokenId> stop_ids_of(const GenerateRequest& ask, const engine::TextModel& model) {
  std::vector<TokenId> ids = ask.stop_ids;
  if (!ask.ignore_eos) ids.insert(ids.end(), model.stop_ids().begin(), model.stop_ids().end());
  return ids;
}

std::unique_ptr<Request> make_request(GenerateRequest ask, Intake intake,
                                      std::shared_ptr<const engine::TextModel> model,
                                      const AdmissionOptions& options) {
  const OnDisconnect on_disconnect = on_disconnect_of(ask);  // reads what is moved from below
  ask.sampling.choice = 0;
  if (!ask.sampling_given) {
    ask.sampling.temperature = options.default_temperature;
    ask.sampling.top_p = options.default_top_p;
  }
  return std::make_unique<Request>(
      Request{.id = ask.id,
              .choices = ask.choices,
              .chat = !ask.messages.empty(),
              .tenant = std::move(ask.tenant),
              .idempotency_key = std::move(ask.idempotency_key),
              .body_digest = std::move(ask.body_digest),
              .tier = ask.tier,
              .determinism = ask.determinism,
              .on_disconnect = on_disconnect,
              .sampling = sampling_fields(ask.sampling),
              .top_logprobs = ask.top_logprobs,
              .min_tokens = ask.min_tokens,
              .stop_ids = stop_ids_of(ask, *model),
              .ledger = Ledger({.prompt = std::move(intake.prompt),
                                .max_tokens = intake.max_tokens,
                                .model = model,
                                .stop_strings = std::move(ask.stop),
                                .reasoning = intake.reasoning,
                                .logprobs = ask.top_logprobs.has_value()})});
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
  Arrival arrival{std::move(ask)};
  if (!repeated(connection, arrival, now, out)) take(connection, std::move(arrival), now, out);
  settle(now, out);
}

void Admission::take(ConnectionId connection, Arrival arrival, TimePoint now, mesh::Outbox& out) {
  const GenerateRequest& ask = arrival.ask;
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
  if (ask.choices == 0 || ask.choices > options_.max_choices) {
    return reject(connection, {.request = id,
                               .status = 400,
                               .code = "invalid_value",
                               .message = fmt::format("{} choices were asked for: 1 to {} can be.",
                                                      ask.choices, options_.max_choices),
                               .param = "n"});
  }
  if (any_known(id, ask.choices)) {
    return reject(connection, {.request = id,
                               .status = 409,
                               .code = "request_exists",
                               .message = "A request with this id is known already."});
  }
  make_room(ask.choices, now, out);
  const Demand demand{.tenant = ask.tenant,
                      .tier = ask.tier,
                      .choices = ask.choices,
                      .remaining = deadline_of(ask, now) - now,
                      .jitter = id.low,
                      .promised = arrival.carried && has_tokens(arrival.cursors)};
  const auto verdict = shedding_.judge(demand, now);
  if (verdict.kind == Verdict::Kind::refuse) return reject_verdict(connection, id, verdict);
  admit(connection, std::move(arrival), std::move(model), verdict.hold, now, out);
}

bool Admission::any_known(RequestId id, std::uint32_t choices) const {
  for (std::uint32_t choice = 0; choice < choices; ++choice) {
    if (table_.find(choice_id(id, choice)) != nullptr) return true;
  }
  return false;
}

// The same key again: the same request from its beginning, if it is the same request.
bool Admission::repeated(ConnectionId connection, const Arrival& arrival, TimePoint now,
                         mesh::Outbox& out) {
  const GenerateRequest& ask = arrival.ask;
  Request* first = table_.find_key(ask.tenant, ask.idempotency_key);
  if (first == nullptr) return false;
  if (first->body_digest == ask.body_digest) {
    for (Request* choice : table_.choices_of(*first)) choice->begun_anew |= arrival.carried;
    attach(connection, arrival.cursors, *first, now, out);
    return true;
  }
  reject(connection, {.request = ask.id,
                      .status = 409,
                      .code = "idempotency_conflict",
                      .message = "This idempotency key was used with another request body: send "
                                 "the same body, or another key."});
  return true;
}

void Admission::admit(ConnectionId connection, Arrival arrival, std::string model, Duration hold,
                      TimePoint now, mesh::Outbox& out) {
  auto taken = take_in(arrival.ask, *models_.at(model), options_);
  if (auto* refusal = std::get_if<Rejected>(&taken)) {
    return reject(connection, std::move(*refusal));
  }
  const TimePoint deadline = deadline_of(arrival.ask, now);
  auto request = make_request(std::move(arrival.ask), std::get<Intake>(std::move(taken)),
                              models_.at(model), options_);
  request->model = std::move(model);
  request->arrived = request->last_token = now;
  request->deadline = deadline;
  request->state = Held{now + hold};
  request->epoch = first_epoch(arrival.life);
  request->begun_anew = arrival.carried;
  for (std::uint32_t choice = 1; choice < request->choices; ++choice) {
    enroll(connection, another_choice(*request, choice), arrival.cursor(choice));
  }
  Request& first = enroll(connection, std::move(request), arrival.cursor(0));
  shedding_.taken(first.choices, now);
  if (hold == Duration::zero()) return accept(first, now, out);
  // Not accepted yet: that is a promise, and with no executor there is nothing to keep it with.
  table_.set_alarm(first, wake(first));
  held_.push_back(first.id);
}

Request& Admission::enroll(ConnectionId connection, std::unique_ptr<Request> request,
                           const Cursor& at) {
  Request& added = table_.add(std::move(request));
  shedding_.entered(added);
  added.ledger.attach(connection, at);
  connections_[connection].requests.insert(added.id);
  return added;
}

// Nothing is promised that is not written down.
void Admission::accept(Request& first, TimePoint now, mesh::Outbox& out) {
  options_.journal ? write_down(first, now) : promise(first, now, out);
}

void Admission::promise(const Request& first, TimePoint now, mesh::Outbox& out) {
  for (const auto& subscriber : first.ledger.subscribers()) {
    emit_accepted(subscriber.connection, first);
  }
  model_tallies_.at(first.model).accepted(first.choices, first.ledger.max_tokens());
  for (Request* request : table_.choices_of(first)) {
    ++tally_.accepted;
    request->next_waiting = now + milliseconds(options_.waiting_every_ms);
    begin_epoch(*request);
    submit(*request, now, out);
  }
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

void Admission::refuse_held(const Request& request, const Verdict& verdict) {
  const auto choices = table_.choices_of(request);
  const RequestId id = request.public_id();
  for (const auto& subscriber : choices.front()->ledger.subscribers()) {
    for (const Request* choice : choices) unlink(subscriber.connection, choice->id);
    reject_verdict(subscriber.connection, id, verdict);
  }
  std::erase(held_, id);
  erase_record(*choices.front());
  for (const Request* choice : choices) {
    shedding_.left(*choice);
    table_.erase(choice->id);
  }
}

}  // namespace aorta::admission
