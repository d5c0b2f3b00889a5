// Claims compared. Admission says what is open and where; an executor says what it runs.
//   both          adopted
//   executor only Stop to it, after some beats
//   admission only Lost: it comes back with the next epoch, at its old place
#include <algorithm>

#include "actors/scheduler/scheduler.hpp"
#include "base/lives.hpp"

namespace aorta::scheduler {

// A Submit (`asked`: an answer is due), or one line of a beat, which says the same.
void Scheduler::on_open(const mesh::PeerId& from, const mesh::OpenRequest& open, bool asked,
                        TimePoint now, mesh::Outbox& out) {
  auto view = admissions_.find(from.name);
  if (view == admissions_.end() || view->second.self != from) return;  // not an admission
  Request* request = find(open.key.request);
  const RecentRequests::Closed* closed = closed_.find(open.key.request);
  const std::string owner = request ? request->admission.name : closed ? closed->admission : "";
  const Epoch latest = request ? request->key.epoch : closed ? closed->epoch : Epoch{};
  if (open.key.epoch < latest && owner != from.name) {
    return carried_elsewhere(from, {open.key.request, latest}, out);
  }
  if (request != nullptr && open.key.epoch < latest) return;
  if (request != nullptr && open.key.epoch == latest && request->admission != from) {
    // An epoch has one owner. Both were asked by one client: who was asked later takes the next.
    return carried_elsewhere(from, open.key, out);
  }
  if (request == nullptr || open.key.epoch > latest) {
    admit(from, open, now);
    tell_earlier_owners(from, owner, open.key, out);
    if (!open.executor.name.empty()) adopt(*find(open.key.request), open.executor, now);
    return;
  }
  request->absent_beats = 0;
  keep_place(*request, open, now);
  charge(*request, open.generated_tokens);
  const bool repeat = asked || now - request->told >= options_.beat_every * 2;
  if (request->state == Request::State::lost) {
    if (repeat) tell(*request, now, out);
  } else if (open.executor.name.empty()) {
    if (request->state == Request::State::placed && repeat) tell(*request, now, out);
  } else if (request->state == Request::State::queued || request->executor != open.executor) {
    adopt(*request, open.executor, now);
  } else {
    request->prompt_paid = 0;
    request->admission_claims = std::min(request->admission_claims, beat_count_);
  }
}

// To one that has it in an older epoch, or in this one: it ends there, or begins the next epoch.
void Scheduler::carried_elsewhere(const mesh::PeerId& admission, const mesh::RequestKey& newer,
                                  mesh::Outbox& out) {
  out.send(admission, mesh::Lost{newer, mesh::LostReason::superseded});
}

// Who had it last; and when it begins at another admission, whoever may keep it for its client.
void Scheduler::tell_earlier_owners(const mesh::PeerId& owner, const std::string& before,
                                    const mesh::RequestKey& newer, mesh::Outbox& out) {
  const bool begins = was_carried(newer.epoch) && newer.epoch == first_epoch(life_of(newer.epoch));
  for (const auto& [name, view] : admissions_) {
    if (name == owner.name) continue;
    if (name == before || begins) carried_elsewhere(view.self, newer, out);
  }
}

// To one that has just started: what it has in its journal may have gone on without it.
void Scheduler::tell_what_was_carried(const mesh::PeerId& admission, mesh::Outbox& out) {
  for (const auto& [id, request] : requests_) {
    if (was_carried(request.key.epoch) && request.admission.name != admission.name) {
      carried_elsewhere(admission, request.key, out);
    }
  }
  for (const auto& [id, closed] : closed_.all()) {
    if (was_carried(closed.epoch) && closed.admission != admission.name) {
      carried_elsewhere(admission, {id, closed.epoch}, out);
    }
  }
}

void Scheduler::on_admission_beat(const mesh::PeerId& from, const mesh::AdmissionBeat& beat,
                                  TimePoint now, mesh::Outbox& out) {
  auto view = admissions_.find(from.name);
  if (view == admissions_.end() || view->second.self != from) return;
  members_.set_state(from.name, beat.state);
  view->second.heard = beat.heard;
  std::set<RequestId> absent = view->second.requests;
  for (const mesh::OpenRequest& open : beat.open) {
    on_open(from, open, false, now, out);
    absent.erase(open.key.request);
  }
  for (RequestId id : absent) {  // its Closed was dropped
    if (++find(id)->absent_beats >= options_.reconcile_beats) close(id, now);
  }
}

void Scheduler::on_executor_beat(const mesh::PeerId& from, const mesh::ExecutorBeat& beat,
                                 TimePoint now, mesh::Outbox& out) {
  Executor* executor = executors_.find(from);
  if (executor == nullptr) return;
  executors_.beat(*executor, beat, now);
  members_.set_state(from.name, beat.state);
  members_.describe(from.name, beat.model, beat.numerics_id);
  stop_orphans(*executor, now, out);
  lose_unclaimed(*executor, now, out);
}

// Its admission must have spoken since, and knowing of a beat that we sent since: another's beats
// may come first, and what had waited for us long ago comes late.
void Scheduler::stop_orphans(Executor& executor, TimePoint now, mesh::Outbox& out) {
  std::erase_if(executor.orphans,
                [&](const auto& orphan) { return !executor.claimed.contains(orphan.first); });
  for (const auto& [key, running] : executor.claimed) {
    Request* request = find(key.request);
    if (request != nullptr && executor.placed.contains(key)) {
      request->prompt_paid = 0;
      charge(*request, running.next.value);
      settle_prompt(*request, running);
      executor.orphans.erase(key);
      continue;
    }
    Executor::Orphan& orphan =
        executor.orphans.try_emplace(key, Executor::Orphan{beat_count_}).first->second;
    ++orphan.beats;
    const auto admission = admissions_.find(running.admission);
    const TimePoint patience = settled_at_ + options_.beat_every * options_.missed_beats;
    const bool spoken =
        admission == admissions_.end() ? now >= patience : admission->second.heard > orphan.since;
    if (orphan.beats < options_.reconcile_beats || !spoken) continue;
    out.send(executor.self, mesh::Stop{key});
    ++stops_total_;
  }
}

// Only beats count that were sent after its admission must have sent the Start: those that know of
// a beat that we sent after the admission's claim had come, each of ours once.
void Scheduler::lose_unclaimed(Executor& executor, TimePoint now, mesh::Outbox& out) {
  std::vector<RequestId> lost;
  for (auto& [key, placement] : executor.placed) {
    const Request& request = *find(key.request);
    if (executor.claimed.contains(key)) {
      placement.unclaimed_beats = 0;
      continue;
    }
    if (request.admission_claims == not_yet) continue;
    if (executor.heard <= std::max(request.admission_claims, placement.unclaimed_at)) continue;
    placement.unclaimed_at = executor.heard;
    if (++placement.unclaimed_beats >= options_.reconcile_beats) lost.push_back(key.request);
  }
  for (RequestId id : lost) lose(*find(id), mesh::LostReason::unclaimed, false, now, out);
}

// Adopted at an executor that never came back to us.
void Scheduler::lose_homeless(TimePoint now, mesh::Outbox& out) {
  const Duration patience = options_.beat_every * options_.missed_beats;
  for (auto& [id, request] : requests_) {
    if (request.state != Request::State::placed || executors_.find(request.executor)) continue;
    const bool restarted = executors_.find(request.executor.name) != nullptr;
    if (restarted) {
      lose(request, mesh::LostReason::superseded, false, now, out);
    } else if (now - request.placed_at >= patience) {
      lose(request, mesh::LostReason::dead, false, now, out);
    }
  }
}

}  // namespace aorta::scheduler
