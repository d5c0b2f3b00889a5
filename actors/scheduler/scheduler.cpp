#include "actors/scheduler/scheduler.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace aorta::scheduler {

using mesh::LostReason;
using mesh::ServiceKind;
using mesh::ServiceState;

namespace {

constexpr const char* monitor_name = "monitor";

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

}  // namespace

Scheduler::Scheduler(mesh::Hello self, const SchedulerOptions& options)
    : options_(options),
      peering_(std::move(self)),
      members_(peering_.self()),
      executors_(options.executors),
      closed_(options.remember_requests),
      beat_count_(peering_.self().self.incarnation.value >> 16) {}  // beyond any earlier life's

void Scheduler::start(TimePoint now, mesh::Outbox& out) {
  settled_at_ = now + options_.settle;
  next_beat_ = now + options_.beat_every;
  next_membership_ = now + options_.membership_every;
  if (!options_.monitor_address.empty()) {
    peering_.dial(monitor_name, options_.monitor_address, now, out);
  }
}

void Scheduler::receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
                        mesh::Outbox& out) {
  const auto outcome = peering_.handle(from, message, now, out);
  using Outcome = mesh::Peering::Outcome;
  if (outcome == Outcome::stale || outcome == Outcome::leave) return;
  members_.heard(from.name, now);
  if (outcome != Outcome::none) {
    if (auto* hello = std::get_if<mesh::Hello>(&message)) on_hello(*hello, now, out);
    return finish_turn(now, out);
  }
  std::visit(Overloaded{
                 [&](const mesh::Submit& m) { on_submit(from, m, now, out); },
                 [&](const mesh::Closed& m) { on_closed(from, m, now); },
                 [&](const mesh::AdmissionBeat& m) { on_admission_beat(from, m, now, out); },
                 [&](const mesh::ExecutorBeat& m) { on_executor_beat(from, m, now, out); },
                 [&](const mesh::ServiceBeat& m) { members_.set_state(from.name, m.state); },
                 [&](const mesh::ChildDied& m) { on_child_died(m, now, out); },
                 [&](const mesh::NodeReport& m) { node_desired_[from.name] = m.desired_executors; },
                 [&](const mesh::Desired& m) {
                   desired_ = m.executors;
                   draining_ = {m.draining.begin(), m.draining.end()};
                   executors_.want_drained(draining_);
                 },
                 [&](const mesh::AuditRequest& m) {
                   out.send(from, mesh::AuditReply{m.token, audit_json(now)});
                 },
                 [&](const mesh::Goodbye&) {
                   if (const mesh::Peering::Peer* peer = peering_.find(from.name)) {
                     const mesh::PeerId gone = peer->self;
                     member_gone(gone, LostReason::draining, false, now, out);
                     members_.left(gone.name);
                   }
                 },
                 [&](const mesh::Drain&) { drain(now, out); },
                 [](const auto&) {},  // nobody's to send here: a newer protocol, or a confused peer
             },
             message);
  finish_turn(now, out);
}

void Scheduler::on_hello(const mesh::Hello& hello, TimePoint now, mesh::Outbox& out) {
  if (hello.kind == ServiceKind::tool) return;
  const bool was_alive = members_.alive(hello.self.name);
  const std::optional<mesh::PeerId> earlier = members_.joined(hello, now);
  if (earlier) member_gone(*earlier, LostReason::superseded, false, now, out);
  if (!was_alive || earlier) {
    if (hello.kind == ServiceKind::executor) {
      executors_.joined(hello.self, now);
      executors_.want_drained(draining_);
      for (auto& [id, request] : requests_) {  // adopted before we had met it
        if (request.state == Request::State::placed && request.executor == hello.self) {
          executors_.place(*executors_.find(hello.self), request.key, request.need, request.first);
        }
      }
    } else if (hello.kind == ServiceKind::admission) {
      admissions_[hello.self.name] = {hello.self, 0, {}};
      tell_what_was_carried(hello.self, out);
      // It need not wait for the next beat either, where there is something to serve with.
      if (now >= settled_at_ && was_serving_) out.send(hello.self, beat(now));
    }
  }
  out.send(hello.self, members_.message());
}

// A beat that came in its place tells the same but for the prefix: then no cache is thought of.
void Scheduler::on_submit(const mesh::PeerId& from, const mesh::Submit& submit, TimePoint now,
                          mesh::Outbox& out) {
  on_open(from, submit.open, true, now, out);
  Request* request = find(submit.open.key.request);
  if (request == nullptr || request->key != submit.open.key || request->admission != from) return;
  request->need.prefix = submit.prefix;
}

void Scheduler::on_closed(const mesh::PeerId& from, const mesh::Closed& closed, TimePoint now) {
  Request* request = find(closed.request);
  if (request == nullptr || request->admission.name != from.name) return;
  charge(*request, closed.generated_tokens);
  close(closed.request, now);
}

// The node agent's word is the quickest: it reaped the process.
void Scheduler::on_child_died(const mesh::ChildDied& died, TimePoint now, mesh::Outbox& out) {
  if (died.counted_crash) executors_.suspect(died.child.name, now);
  const mesh::Member* member = members_.find(died.child.name);
  if (member == nullptr || member->self != died.child) return;
  if (!members_.alive(died.child.name)) return;
  member_gone(died.child, LostReason::dead, died.counted_crash, now, out);
  members_.died(died.child.name, now);
}

// That life of it is over: what it held is told to those who wait for it.
void Scheduler::member_gone(const mesh::PeerId& member, LostReason reason, bool counted_crash,
                            TimePoint now, mesh::Outbox& out) {
  if (Executor* executor = executors_.find(member)) {
    std::set<mesh::RequestKey> guilty;
    if (counted_crash) guilty = blamed(*executor);
    std::vector<mesh::RequestKey> aboard;
    for (const auto& [key, placement] : executor->placed) aboard.push_back(key);
    for (const mesh::RequestKey& key : aboard) {
      lose(*find(key.request), reason, guilty.contains(key), now, out);
    }
    executors_.left(member.name);
  }
  if (auto view = admissions_.find(member.name);
      view != admissions_.end() && view->second.self == member) {
    const std::set<RequestId> requests = std::move(view->second.requests);
    for (RequestId id : requests) {
      // Nobody says that the prompt was computed; whoever carries the request on pays for it then.
      Request& request = *find(id);
      if (request.prompt_paid > 0) request.prompt_charged = false;
      charge_cost(request, -request.prompt_paid);
      close(id, now);
    }
    admissions_.erase(view);
  }
  node_desired_.erase(member.name);
  const mesh::Peering::Peer* peer = peering_.find(member.name);
  if (peer != nullptr && peer->self == member) peering_.forget(member.name, now);
}

// Whom a crash counts against: what was on board, that is, what its beats have named, or what was
// placed there while they still came. If one of these is suspected of an earlier crash and has
// brought no token since, it was that one and no neighbour.
std::set<mesh::RequestKey> Scheduler::blamed(const Executor& executor) {
  const TimePoint beats_end = executor.beat_at + options_.beat_every * options_.reconcile_beats;
  std::set<mesh::RequestKey> aboard, suspects;
  for (const auto& [key, placement] : executor.placed) {
    if (!placement.seen && find(key.request)->placed_at > beats_end) continue;
    aboard.insert(key);
    if (placement.suspect) suspects.insert(key);
  }
  return suspects.empty() ? aboard : suspects;
}

// Nobody at the other end now. A peer that has only lost its connection comes back to its beats,
// and what was dropped is repaired by them; one that does not is dead.
void Scheduler::unreachable(const mesh::PeerId& peer, TimePoint now, mesh::Outbox&) {
  const mesh::Member* member = members_.find(peer.name);
  if (member != nullptr && member->self == peer) members_.cut(peer.name, now);
}

// There is nothing to finish: streams do not pass here, and the next scheduler learns the rest.
void Scheduler::drain(TimePoint, mesh::Outbox& out) {
  for (const mesh::PeerId& member : members_.others()) out.send(member, mesh::Goodbye{});
  out.leave = mesh::Outbox::Leave{0, "drained"};
}

void Scheduler::tick(TimePoint now, mesh::Outbox& out) {
  peering_.tick(now, out);
  if (now < next_beat_) return finish_turn(now, out);
  // We stood still ourselves: what the others sent meanwhile has not been read yet.
  const Duration late = now - next_beat_;
  if (late > options_.beat_every * 5) {
    members_.forgive(late);
    executors_.forgive(late);
  }
  next_beat_ = now + options_.beat_every;

  const Duration silence = options_.beat_every * options_.missed_beats;
  const Duration cut = options_.beat_every * options_.cut_beats;
  for (const mesh::PeerId& silent : members_.silent(silence, cut, now)) {
    if (executors_.find(silent)) executors_.suspect(silent.name, now);
    member_gone(silent, LostReason::dead, false, now, out);
    members_.died(silent.name, now);
  }
  members_.forget_dead(options_.remember_dead, now);
  for (const std::string& name : executors_.find_stalled(now)) {
    std::vector<RequestId> aboard;
    for (const auto& [key, placement] : executors_.find(name)->placed) {
      aboard.push_back(key.request);
    }
    for (RequestId id : aboard) lose(*find(id), LostReason::stalled, false, now, out);
  }
  lose_homeless(now, out);

  const std::uint32_t slots = executors_.slots("");
  if (slots >= slots_known_ || now - slots_known_at_ >= options_.remember_slots) {
    slots_known_ = slots;
    slots_known_at_ = now;
  }
  finish_turn(now, out);
  ++beat_count_;
  const mesh::SchedulerBeat figures = beat(now);
  for (const ServiceKind kind : {ServiceKind::admission, ServiceKind::executor}) {
    for (const mesh::PeerId& peer : members_.others(kind)) out.send(peer, figures);
  }
  if (now < next_membership_) return;
  next_membership_ = now + options_.membership_every;
  broadcast(out);
  if (peering_.find(monitor_name) != nullptr && peering_.dialled(monitor_name)) {
    out.send({monitor_name, {}}, mesh::Report{ServiceState::ready, this->figures(now)});
  }
}

TimePoint Scheduler::next_tick() const { return std::min(next_beat_, peering_.next_tick()); }

void Scheduler::finish_turn(TimePoint now, mesh::Outbox& out) {
  dispatch(now, out);
  tell_first_slots(now, out);
  if (members_.take_changed()) broadcast(out);
}

// Admissions hold requests until an executor is ready: they need not wait for the next beat.
void Scheduler::tell_first_slots(TimePoint now, mesh::Outbox& out) {
  const bool serving = executors_.slots("") > 0;
  if (serving && !was_serving_ && now >= settled_at_) {
    const mesh::SchedulerBeat figures = beat(now);
    for (const mesh::PeerId& peer : members_.others(ServiceKind::admission))
      out.send(peer, figures);
  }
  was_serving_ = serving;
}

void Scheduler::broadcast(mesh::Outbox& out) {
  const mesh::Membership membership = members_.message();
  for (const mesh::PeerId& member : members_.others()) out.send(member, membership);
}

}  // namespace aorta::scheduler
