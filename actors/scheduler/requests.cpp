// Lives of a request: queued, placed, lost, closed.
#include <algorithm>
#include <utility>

#include "actors/scheduler/scheduler.hpp"
#include "base/result.hpp"

namespace aorta::scheduler {

namespace {

constexpr std::uint32_t crashes_before_alone = 2;
constexpr double hold_smoothing = 0.05;  // weight of the newest run in the mean

Duration ms(std::uint32_t value) { return std::chrono::milliseconds(value); }

}  // namespace

Scheduler::Request* Scheduler::find(RequestId id) {
  auto it = requests_.find(id);
  return it == requests_.end() ? nullptr : &it->second;
}

Policy& Scheduler::policy_of(const Request& request) {
  return policies_.try_emplace(request.need.model, options_.policy).first->second;
}

// A request that is new here, or back with a new epoch. What we knew of it keeps its place in the
// queue and what its tenant has paid, also if it was closed meanwhile; what we did not know,
// another life of ours has charged unless it comes for the first time.
void Scheduler::admit(const mesh::PeerId& admission, const mesh::OpenRequest& open, TimePoint now) {
  auto [it, added] = requests_.try_emplace(open.key.request);
  Request& request = it->second;
  if (added) {
    request.job.request = open.key.request;
    request.job.tier = open.tier;
    request.job.tenant = open.tenant;
    request.need.model = open.model;
    request.charged = open.generated_tokens;
    request.prompt_charged = open.key.epoch.value > 1 || !open.executor.name.empty();
    const RecentRequests::Closed* before = closed_.find(open.key.request);
    if (before != nullptr && before->tenant == open.tenant) {
      request.charged = std::max(request.charged, before->charged);
      request.prompt_charged = before->prompt_charged || !open.executor.name.empty();
    }
    closed_.forget(open.key.request);
  } else {
    if (request.state == Request::State::placed) {
      executors_.declined(request.executor, request.key);
    }
    leave_state(request);
    request.prompt_paid = 0;  // a later epoch is not charged again
    request.prompt_guess.reset();
    if (auto view = admissions_.find(request.admission.name); view != admissions_.end()) {
      view->second.requests.erase(open.key.request);  // another may carry it on
    }
  }
  keep_place(request, open, now);
  request.state = Request::State::queued;
  request.admission = admission;
  request.key = open.key;
  request.first = TokenIndex{open.generated_tokens};
  request.need.tokens = open.prompt_tokens + open.generated_tokens;
  request.need.numerics_id = open.numerics_id;
  request.need.strict = open.determinism == mesh::Determinism::strict;
  request.crashes = std::max(request.crashes, open.crashes);  // also of lives of ours before
  request.need.suspect = request.crashes > 0;
  request.need.alone = request.crashes >= crashes_before_alone;
  request.absent_beats = 0;
  admissions_[admission.name].requests.insert(open.key.request);
  policy_of(request).push(request.job);
  charge(request, open.generated_tokens);
}

// What it has waited is said anew with each beat, and a message that waited for us itself makes it
// less: the most that was said is the closest to the truth.
void Scheduler::keep_place(Request& request, const mesh::OpenRequest& open, TimePoint now) {
  const Duration waited = std::max(ms(open.waited_ms), Duration(open.waited_us));
  const TimePoint deadline = open.remaining_ms > 0 ? now + ms(open.remaining_ms) : never;
  Job& job = request.job;
  if (now - waited >= job.arrival && deadline >= job.deadline) return;
  job.arrival = std::min(job.arrival, now - waited);
  job.deadline = std::min(job.deadline, deadline);
  if (request.state == Request::State::queued) policy_of(request).move(job);
}

// Undoes what being queued or placed had taken.
void Scheduler::leave_state(Request& request) {
  Policy& policy = policy_of(request);
  if (request.state == Request::State::queued) policy.erase(request.job.request);
  if (request.state == Request::State::placed) {
    executors_.release(request.executor, request.key);
    policy.ended(request.job);
    request.executor = {};
    request.admission_claims = not_yet;
  }
}

void Scheduler::dispatch(TimePoint now, mesh::Outbox& out) {
  if (now < settled_at_) return;
  for (auto& [model, policy] : policies_) {
    const std::uint32_t slots = executors_.slots(model);
    auto fits = [&](RequestId id) {
      Fit fit{};
      executors_.best(find(id)->need, now, fit);
      return fit;
    };
    while (executors_.free(model, now) > 0) {
      const std::optional<RequestId> next = policy.pick(slots, fits);
      if (!next) break;
      place(*find(*next), now, out);
    }
  }
  std::erase_if(policies_, [](const auto& entry) { return entry.second.empty(); });
}

void Scheduler::place(Request& request, TimePoint now, mesh::Outbox& out) {
  Fit fit{};
  Executor* executor = executors_.best(request.need, now, fit);
  AORTA_CHECK(executor != nullptr, "what was found to fit a moment ago fits");
  Policy& policy = policy_of(request);
  policy.started(request.job);
  const std::uint32_t cached = executors_.cached_tokens(*executor, request.need);
  if (!request.prompt_charged) {
    request.prompt_charged = true;
    request.prompt_guess = cached;
    request.prompt_paid = (request.need.tokens - cached) * options_.policy.prompt_token_cost;
    charge_cost(request, request.prompt_paid);
  }
  cached_tokens_total_ += cached;
  executors_.place(*executor, request.key, request.need, request.first);
  request.state = Request::State::placed;
  request.executor = executor->self;
  request.placed_at = now;
  ++placed_total_;
  tell(request, now, out);
}

// Its admission says where it is: true whatever we thought.
void Scheduler::adopt(Request& request, const mesh::PeerId& executor, TimePoint now) {
  if (request.state == Request::State::placed) leave_state(request);
  policy_of(request).started(request.job);
  if (Executor* known = executors_.find(executor)) {
    executors_.place(*known, request.key, request.need, request.first);
  }
  request.state = Request::State::placed;
  request.executor = executor;
  request.placed_at = now;
  request.admission_claims = beat_count_;
  request.prompt_charged = true;
  request.prompt_paid = 0;
}

void Scheduler::lose(Request& request, mesh::LostReason reason, bool counted_crash, TimePoint now,
                     mesh::Outbox& out) {
  leave_state(request);
  request.state = Request::State::lost;
  request.reason = reason;
  request.counted_crash = counted_crash;
  if (counted_crash) ++request.crashes;
  ++lost_total_[reason];
  tell(request, now, out);
}

// Says where it is, or that it is lost; again when asked, for the answer may have been dropped.
void Scheduler::tell(Request& request, TimePoint now, mesh::Outbox& out) {
  request.told = now;
  if (request.state == Request::State::placed) {
    out.send(request.admission, mesh::Placed{request.key, request.executor});
  } else if (request.state == Request::State::lost) {
    out.send(request.admission, mesh::Lost{request.key, request.reason, request.counted_crash});
  }
}

void Scheduler::close(RequestId id, TimePoint now) {
  Request& request = requests_.at(id);
  if (request.state == Request::State::placed) {
    const double held = std::chrono::duration<double>(now - request.placed_at).count();
    mean_hold_seconds_ = mean_hold_seconds_ == 0
                             ? held
                             : mean_hold_seconds_ + hold_smoothing * (held - mean_hold_seconds_);
  }
  leave_state(request);
  if (auto view = admissions_.find(request.admission.name); view != admissions_.end()) {
    view->second.requests.erase(id);
  }
  closed_.note(id, {.admission = request.admission.name,
                    .tenant = request.job.tenant,
                    .epoch = request.key.epoch,
                    .charged = request.charged,
                    .prompt_charged = request.prompt_charged});
  requests_.erase(id);
  ++closed_total_;
}

void Scheduler::charge(Request& request, std::uint32_t generated) {
  if (generated <= request.charged) return;
  charge_cost(request, generated - request.charged);
  request.charged = generated;
}

// Its executor has begun, and says how much of the prompt it had: the rest is what is paid for.
void Scheduler::settle_prompt(Request& request, const mesh::RunningRequest& running) {
  if (!request.prompt_guess || running.next <= request.first) return;
  const std::uint32_t cached = std::min(running.cached_tokens, request.need.tokens);
  const double guessed = *std::exchange(request.prompt_guess, std::nullopt);
  charge_cost(request, (guessed - cached) * options_.policy.prompt_token_cost);
}

void Scheduler::charge_cost(const Request& request, double cost) {
  policy_of(request).charge(request.job, cost);
  charged_total_ += cost;
}

}  // namespace aorta::scheduler
