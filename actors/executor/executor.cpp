#include "actors/executor/executor.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace aorta::executor {

using mesh::ServiceKind;
using mesh::ServiceState;

namespace {

constexpr const char* scheduler_name = "scheduler";
constexpr const char* monitor_name = "monitor";
constexpr int exit_bad_configuration = 78;  // starting again would change nothing
constexpr int exit_try_again = 75;

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};

}  // namespace

Executor::Executor(mesh::Hello self, const ExecutorOptions& options)
    : options_(options),
      peering_(std::move(self)),
      pack_search_(options),
      store_search_(options),
      step_tokens_({1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}) {}

void Executor::start(TimePoint now, mesh::Outbox& out) {
  peering_.dial(scheduler_name, options_.scheduler_address, now, out);
  if (!options_.monitor_address.empty()) {
    peering_.dial(monitor_name, options_.monitor_address, now, out);
  }
  if (!options_.cache_address.empty()) {
    peering_.dial(cache_name, options_.cache_address, now, out);
  }
  pack_search_.start(now);
  next_beat_ = now + options_.beat_every;
  next_report_ = now + options_.report_every;
}

void Executor::receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
                       mesh::Outbox& out) {
  const auto outcome = peering_.handle(from, message, now, out);
  using Outcome = mesh::Peering::Outcome;
  if (outcome == Outcome::joined || outcome == Outcome::restarted) {
    if (from.name == scheduler_name) beat(now, out);  // it has everything to learn
    if (from.name == cache_name) store_search_.cache_met(now);
  }
  if (outcome != Outcome::none) return;
  std::visit(Overloaded{
                 [&](const mesh::Start& m) { on_start(from, m, now, out); },
                 [&](const mesh::Ack& m) { on_ack(from, m, now, out); },
                 [&](const mesh::Expect& m) { on_expect(from, m, now, out); },
                 [&](const mesh::Stop& m) { on_stop(m); },
                 [&](const mesh::Membership& m) { on_membership(m, now, out); },
                 [&](const mesh::SchedulerBeat& m) { scheduler_beat_ = m.count; },
                 [&](const mesh::PackReply& m) {
                   pack_search_.on_reply(m, now);
                   store_search_.on_reply(m);
                 },
                 [&](const mesh::AuditRequest& m) {
                   out.send(from, mesh::AuditReply{m.token, audit_json(now)});
                 },
                 [&](const mesh::Drain&) { drain(now, out); },
                 [&](const mesh::Goodbye&) { peering_.forget(from.name, now); },
                 [](const auto&) {},  // nobody's to send here: a newer protocol, or a confused peer
             },
             message);
  finish_turn(now, out);
}

// Sends to binders are never refused by the wire, only dropped; the link and the beats repair that.
void Executor::unreachable(const mesh::PeerId&, TimePoint, mesh::Outbox&) {}

void Executor::on_membership(const mesh::Membership& membership, TimePoint now, mesh::Outbox& out) {
  std::map<std::string, AdmissionView> missing = std::exchange(admissions_, {});
  for (const mesh::Member& member : membership.members) {
    if (member.state == ServiceState::dead) continue;
    if (member.kind == ServiceKind::cache) greet_new_life(member.self, now);
    if (member.kind != ServiceKind::admission || member.address.empty()) continue;
    greet_new_life(member.self, now);
    peering_.dial(member.self.name, member.address, now, out);
    admissions_[member.self.name] = {};
    missing.erase(member.self.name);
  }
  for (auto& [name, view] : missing) {
    view.missing_since = std::min(view.missing_since, now);
    admissions_[name] = view;
  }
}

// At the old address it hears of us only if we greet it: an admission's first Start waits for that,
// and a cache knows nobody who shares blocks.
void Executor::greet_new_life(const mesh::PeerId& member, TimePoint now) {
  const mesh::Peering::Peer* known = peering_.find(member.name);
  if (known == nullptr || known->self.incarnation >= member.incarnation) return;
  peering_.forget(member.name, now);
}

// Its requests end by their leases; until then its answer could still come.
void Executor::hang_up_missing(TimePoint now, mesh::Outbox& out) {
  std::erase_if(admissions_, [&](const auto& entry) {
    const auto& [name, view] = entry;
    if (view.missing_since == never || now - view.missing_since < options_.hang_up_after) {
      return false;
    }
    for (const auto& [id, run] : runs_) {
      if (run.admission.name == name) return false;
    }
    peering_.hang_up(name, out);
    return true;
  });
}

void Executor::drain(TimePoint now, mesh::Outbox& out) {
  if (drain_until_ != never) return;
  drain_until_ = now + options_.drain_for;
  state_ = ServiceState::draining;
  send_tokens(out);
  if (options_.drain_mode == DrainMode::hand_over) hand_over(false, out);
  beat(now, out);
  finish_turn(now, out);
}

void Executor::tick(TimePoint now, mesh::Outbox& out) {
  peering_.tick(now, out);
  pack_search_.tick(now, out);
  store_search_.tick(now, out);
  expire_leases(now, out);
  resend_unheard(now);
  send_tokens(out);
  hang_up_missing(now, out);
  if (now >= drain_until_) hand_over(true, out);
  if (now >= next_beat_) beat(now, out);
  if (now >= next_report_) report(now, out);
  finish_turn(now, out);
}

// Leases and resends are looked after with each beat.
TimePoint Executor::next_tick() const {
  return std::min({next_beat_, next_report_, drain_until_, pack_search_.next_tick(),
                   store_search_.next_tick(), peering_.next_tick()});
}

void Executor::finish_turn(TimePoint now, mesh::Outbox& out) {
  if (slot_freed_ && now - last_beat_ >= options_.beat_apart) beat(now, out);
  if (slot_freed_) next_beat_ = std::min(next_beat_, last_beat_ + options_.beat_apart);
  if (state_ != ServiceState::draining || !runs_.empty()) return;
  state_ = ServiceState::stopping;
  drain_until_ = next_beat_ = next_report_ = never;
  for (const auto& [name, peer] : peering_.peers()) out.send({name, {}}, mesh::Goodbye{});
  out.leave = mesh::Outbox::Leave{0, "drained"};
}

void Executor::beat(TimePoint now, mesh::Outbox& out) {
  last_beat_ = now;
  next_beat_ = now + options_.beat_every;
  slot_freed_ = false;
  if (peering_.find(scheduler_name) == nullptr) return;  // it is being greeted
  mesh::ExecutorBeat beat;
  beat.state = state_;
  beat.model = info_.model_id;
  beat.numerics_id = info_.numerics_id;
  beat.slots_total = load_.slots_total;
  beat.blocks_total = load_.blocks_total;
  beat.blocks_used = load_.blocks_used;
  beat.blocks_cached = load_.blocks_cached;
  beat.steps = turns_;
  beat.median_step_us = pace_.median_step_us();
  beat.prefill_per_second = pace_.prefill_per_second();
  beat.heard = scheduler_beat_;
  for (const auto& [id, run] : runs_) {
    beat.running.push_back({run.sender.key(), run.admission.name, run.sender.next(),
                            run.sender.finished(), run.cached_tokens});
  }
  out.send({scheduler_name, {}}, std::move(beat));
}

void Executor::report(TimePoint now, mesh::Outbox& out) {
  next_report_ = now + options_.report_every;
  if (peering_.find(monitor_name) == nullptr) return;
  out.send({monitor_name, {}}, mesh::Report{state_, figures()});
}

std::optional<LoadCommand> Executor::take_load_command() { return pack_search_.take(); }

void Executor::on_engine_ready(const engine::EngineInfo& info, const engine::EngineLoad& load,
                               TimePoint now, mesh::Outbox& out) {
  info_ = info;
  load_ = load;
  if (state_ == ServiceState::starting) state_ = ServiceState::ready;
  beat(now, out);
  finish_turn(now, out);
}

void Executor::share_blocks(std::uint64_t block_bytes, TimePoint now) {
  store_search_.engine_ready(block_bytes, now);
}

// A model that is missing or broken stays so: not to be restarted. Memory may come back.
void Executor::on_engine_failed(const Error& error, TimePoint, mesh::Outbox& out) {
  const bool for_now = error.code == ErrorCode::resource_exhausted ||
                       error.code == ErrorCode::unavailable || error.code == ErrorCode::io;
  state_ = ServiceState::stopping;
  out.leave = mesh::Outbox::Leave{for_now ? exit_try_again : exit_bad_configuration,
                                  "the engine does not start: " + error.message};
}

}  // namespace aorta::executor
