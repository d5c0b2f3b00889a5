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

// Of a request of which nobody knows yet.
std::unique_ptr<Request> another_choice(const Request& first, std::uint32_t choice) {
  auto request = std::make_unique<Request>(first);
  request->id = choice_id(first.id, choice);
  request->sampling.choice = choice;
  request->idempotency_key.clear();
  return request;
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
  const Demand demand{.tenant = ask.tenant,
                      .tier = ask.tier,
                      .choices = ask.choices,
                      .remaining = deadline_of(ask, now) - now,
                      .jitter = id.low};
  const auto verdict = shedding_.judge(demand, now);
  if (verdict.kind == Verdict::Kind::refuse) return reject_verdict(connection, id, verdict);
  admit(connection, std::move(ask), std::move(model), verdict.hold, now, out);
  settle(now, out);
}

bool Admission::any_known(RequestId id, std::uint32_t choices) const {
  for (std::uint32_t choice = 0; choice < choices; ++choice) {
    if (table_.find(choice_id(id, choice)) != nullptr) return true;
  }
  return false;
}

// The same key again: the same request from its beginning, if it is the same request.
void Admission::repeat(ConnectionId connection, const GenerateRequest& ask, const Request& first,
                       TimePoint now, mesh::Outbox& out) {
  if (first.body_digest == ask.body_digest) {
    return attach(connection, {}, first, now, out);
  }
  reject(connection, {.request = ask.id,
                      .status = 409,
                      .code = "idempotency_conflict",
                      .message = "This idempotency key was used with another request body: send "
                                 "the same body, or another key."});
}

void Admission::admit(ConnectionId connection, GenerateRequest ask, std::string model,
                      Duration hold, TimePoint now, mesh::Outbox& out) {
  auto taken = take_in(ask, *models_.at(model), options_);
  if (auto* refusal = std::get_if<Rejected>(&taken)) {
    return reject(connection, std::move(*refusal));
  }
  const TimePoint deadline = deadline_of(ask, now);
  auto request =
      make_request(std::move(ask), std::get<Intake>(std::move(taken)), models_.at(model), options_);
  request->model = std::move(model);
  request->arrived = request->last_token = now;
  request->deadline = deadline;
  request->state = Held{now + hold};
  for (std::uint32_t choice = 1; choice < request->choices; ++choice) {
    enroll(connection, another_choice(*request, choice));
  }
  Request& first = enroll(connection, std::move(request));
  shedding_.taken(first.choices, now);
  if (hold == Duration::zero()) return accept(first, now, out);
  // Not accepted yet: that is a promise, and with no executor there is nothing to keep it with.
  table_.set_alarm(first, wake(first));
  held_.push_back(first.id);
}

Request& Admission::enroll(ConnectionId connection, std::unique_ptr<Request> request) {
  Request& added = table_.add(std::move(request));
  shedding_.entered(added);
  added.ledger.attach(connection, TokenIndex{0});
  connections_[connection].requests.insert(added.id);
  return added;
}

void Admission::accept(const Request& first, TimePoint now, mesh::Outbox& out) {
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
  for (const Request* choice : choices) {
    shedding_.left(*choice);
    table_.erase(choice->id);
  }
}

}  // namespace aorta::admission
