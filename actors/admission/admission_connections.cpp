// What clients do with a request that is known: read on, cancel, leave, be slow.
#include <fmt/format.h>

#include <algorithm>

#include "actors/admission/admission.hpp"
#include "base/request_owner.hpp"

namespace aorta::admission {
namespace {

Rejected not_found(RequestId id) {
  return {.request = id,
          .status = 404,
          .code = "request_not_found",
          .message = fmt::format("Request {} is not known here: it was never accepted, is another "
                                 "tenant's, or ended too long ago.",
                                 id.to_string())};
}

Rejected beyond_the_end(RequestId id, std::size_t choice, TokenIndex asked, TokenIndex known) {
  return {.request = id,
          .status = 400,
          .code = "index_out_of_range",
          .message = fmt::format("Token {} of choice {} was asked for, but it has {} tokens so "
                                 "far: ask for the first that is missing.",
                                 asked.value, choice, known.value),
          .param = "next_index"};
}

Rejected too_many_indices(RequestId id, std::size_t asked, std::size_t choices) {
  return {.request = id,
          .status = 400,
          .code = "invalid_value",
          .message = fmt::format("{} indices were sent, but the request has {} choices: send one "
                                 "for each.",
                                 asked, choices),
          .param = "next_index"};
}

}  // namespace

// What a client may name: its own requests, by the ids it was told.
const Request* Admission::find_for(const std::string& tenant, RequestId id) const {
  const Request* request = table_.find(id);
  const bool theirs = request != nullptr && request->tenant == tenant && request->choice() == 0;
  return theirs ? request : nullptr;
}

void Admission::resume(ConnectionId connection, const std::string& tenant, RequestId id,
                       const std::vector<TokenIndex>& next, TimePoint now, mesh::Outbox& out) {
  ResumeRequest ask{.tenant = tenant, .request = id};
  for (const TokenIndex index : next) ask.cursors.push_back({.next = index});
  resume(connection, std::move(ask), now, out);
}

void Admission::resume(ConnectionId connection, ResumeRequest ask, TimePoint now,
                       mesh::Outbox& out) {
  read_on(connection, std::move(ask), now, out);
  settle(now, out);
}

void Admission::read_on(ConnectionId connection, ResumeRequest ask, TimePoint now,
                        mesh::Outbox& out) {
  const Request* first = find_for(ask.tenant, ask.request);
  if (first != nullptr) return go_on(connection, std::move(ask), *first, now, out);
  // What another tenant has, here or elsewhere, is told apart in nothing from what never was.
  const bool known = table_.find(ask.request) != nullptr;
  if (!ask.carried || ask.life >= most_lives || known || !owned_by(ask.request, ask.tenant)) {
    reject(connection, not_found(ask.request));
  } else if (ask.cursors.size() > std::max(1u, ask.carried->choices)) {
    reject(connection, too_many_indices(ask.request, ask.cursors.size(), ask.carried->choices));
  } else {
    ask.carried->id = ask.request;
    ask.carried->tenant = ask.tenant;
    Arrival arrival{std::move(*ask.carried), std::move(ask.cursors), true, taken_over(ask.life)};
    if (!repeated(connection, arrival, now, out)) take(connection, std::move(arrival), now, out);
  }
}

void Admission::go_on(ConnectionId connection, ResumeRequest ask, const Request& first,
                      TimePoint now, mesh::Outbox& out) {
  const auto choices = table_.choices_of(first);
  if (ask.cursors.size() > choices.size()) {
    return reject(connection, too_many_indices(first.id, ask.cursors.size(), choices.size()));
  }
  const bool elsewhere_since = was_elsewhere(first, ask.life);
  for (std::size_t i = 0; i < ask.cursors.size(); ++i) {
    const TokenIndex asked = ask.cursors[i].next, known = choices[i]->ledger.next();
    if (asked <= known || choices[i]->begun_anew || elsewhere_since) continue;
    return reject(connection, beyond_the_end(first.id, i, asked, known));
  }
  if (elsewhere_since) return bring_home(connection, std::move(ask), first, now, out);
  attach(connection, ask.cursors, first, now, out);
}

void Admission::cancel(ConnectionId connection, const std::string& tenant, RequestId id,
                       TimePoint now, mesh::Outbox& out) {
  const Request* first = find_for(tenant, id);
  if (first == nullptr) return reject(connection, not_found(id));
  const auto choices = table_.choices_of(*first);
  const bool subscribed = std::any_of(choices.begin(), choices.end(), [&](const Request* choice) {
    return choice->ledger.subscribed(connection);
  });
  if (!first->accepted()) {
    Verdict verdict{Verdict::Kind::refuse};
    verdict.status = 499;
    verdict.code = "cancelled";
    verdict.message = "The request was cancelled before it was accepted.";
    if (!subscribed) reject_verdict(connection, id, verdict);
    return refuse_held(*first, verdict);
  }
  for (Request* choice : choices) {
    if (choice->phase() != Phase::ended) {
      end(*choice, {.finish_reason = "cancelled"}, now, out);
    }
    // Who cancels is answered, whoever reads the stream.
    if (!subscribed) emit_ending(connection, *choice);
  }
  settle(now, out);
}

void Admission::gone(ConnectionId connection, TimePoint now, mesh::Outbox& out) {
  if (returning_ > 0) {
    unwant([&](const Asked& asked) { return asked.back && asked.back->connection == connection; });
  }
  auto it = connections_.find(connection);
  if (it == connections_.end()) return;
  const std::set<RequestId> requests = std::move(it->second.requests);
  connections_.erase(it);
  for (const RequestId id : requests) table_.find(id)->ledger.detach(connection);
  for (const RequestId id : requests) {
    Request* request = table_.find(id);  // not there: refused with another choice
    if (request != nullptr && request->ledger.subscribers().empty()) {
      lost_its_clients(*request, now, out);
    }
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
    Request* request = table_.find(id);
    if (request != nullptr && publish(*request)) lost_its_clients(*request, now, out);
  }
  settle(now, out);
}

}  // namespace aorta::admission
