// Lives of requests on this executor: started, streamed until acknowledged, ended.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "actors/executor/executor.hpp"

namespace aorta::executor {

using mesh::LostReason;
using mesh::ServiceState;

namespace {

engine::SequenceKey engine_key(const mesh::RequestKey& key) { return {key.request, key.epoch}; }

engine::Sequence sequence_of(const mesh::Start& start) {
  const mesh::SamplingFields& s = start.sampling;
  engine::Sequence sequence;
  sequence.key = engine_key(start.key);
  sequence.ids.reserve(start.prompt.size() + start.generated.size());
  sequence.ids = start.prompt;
  sequence.ids.insert(sequence.ids.end(), start.generated.begin(), start.generated.end());
  sequence.prompt_tokens = static_cast<std::uint32_t>(start.prompt.size());
  sequence.max_tokens = start.max_tokens;
  sequence.min_tokens = start.min_tokens;
  sequence.stop_ids = start.stop_ids;
  sequence.sampling = {
      s.temperature,        s.top_p,      s.min_p, s.top_k, s.presence_penalty, s.frequency_penalty,
      s.repetition_penalty, s.logit_bias, s.seed,  s.choice};
  if (start.logprobs) sequence.top_logprobs = start.top_logprobs;
  sequence.cache_salt = start.cache_salt;
  return sequence;
}

std::optional<mesh::TokenLogprobs> logprobs_of(const engine::Generated& token) {
  if (!token.logprobs) return std::nullopt;
  return mesh::TokenLogprobs{token.logprobs->chosen, token.logprobs->top};
}

}  // namespace

Executor::Run* Executor::find(const mesh::RequestKey& key) {
  auto it = runs_.find(key.request);
  return it != runs_.end() && it->second.sender.key() == key ? &it->second : nullptr;
}

std::uint32_t Executor::slots_used() const {
  return static_cast<std::uint32_t>(
      std::count_if(runs_.begin(), runs_.end(),
                    [](const auto& entry) { return !entry.second.sender.finished(); }));
}

void Executor::on_start(const mesh::PeerId& from, const mesh::Start& start, TimePoint now,
                        mesh::Outbox& out) {
  const mesh::Peering::Peer* peer = peering_.find(from.name);
  if (peer == nullptr) return;
  if (auto known = runs_.find(start.key.request); known != runs_.end()) {
    Run& run = known->second;
    if (start.key.epoch < run.sender.key().epoch) {
      return decline(from.name, start.key, LostReason::superseded,
                     "a newer epoch of this request runs here", out);
    }
    if (start.key == run.sender.key() && run.admission == peer->self) {
      run.lease_until = now + run.lease;  // said again: it is running
      return;
    }
    if (start.key == run.sender.key()) {
      return decline(from.name, start.key, LostReason::refused,
                     "another admission holds this epoch of the request", out);
    }
    forget(run.sender.key());
  }
  if (state_ == ServiceState::draining || state_ == ServiceState::stopping) {
    return decline(from.name, start.key, LostReason::draining,
                   fmt::format("{} is draining", self().self.name), out);
  }
  if (state_ != ServiceState::ready || slots_used() >= load_.slots_total) {
    return decline(from.name, start.key, LostReason::refused,
                   fmt::format("{} has no free slot", self().self.name), out);
  }
  const Duration lease = std::clamp<Duration>(std::chrono::milliseconds(start.lease_ms),
                                              options_.min_lease, options_.max_lease);
  const TokenIndex first{static_cast<std::uint32_t>(start.generated.size())};
  runs_.emplace(start.key.request,
                Run{.admission = peer->self,
                    .sender = mesh::TokenSender(start.key, first),
                    .lease = lease,
                    .lease_until = now + lease,
                    .unheard_since = now,
                    .first = first,
                    .tokens = static_cast<std::uint32_t>(start.prompt.size()) + first.value});
  commands_.push_back({engine_key(start.key), sequence_of(start)});
  ++started_total_;
}

void Executor::on_ack(const mesh::PeerId& from, const mesh::Ack& ack, TimePoint now,
                      mesh::Outbox& out) {
  for (const mesh::AckItem& item : ack.items) {
    Run* run = find(item.key);
    if (run == nullptr) {
      // Its Start was dropped, or it was ours before a restart: nothing will come of it.
      const auto known = runs_.find(item.key.request);
      const bool newer_here = known != runs_.end() && known->second.sender.key() > item.key;
      if (!item.complete && !newer_here) {
        decline(from.name, item.key, LostReason::unclaimed, "this epoch is not here", out);
      }
      continue;
    }
    if (run->admission.name != from.name) continue;
    const std::size_t owed = run->sender.unacknowledged();
    run->sender.acknowledge(item);
    run->lease_until = now + run->lease;
    // One that only renews the lease, or comes for a neighbour's tokens, says nothing of ours.
    if (run->sender.unacknowledged() < owed) run->unheard_since = now;
    if (run->sender.complete()) runs_.erase(item.key.request);
  }
}

void Executor::on_expect(const mesh::PeerId& from, const mesh::Expect& expect, TimePoint now,
                         mesh::Outbox& out) {
  Run* run = find(expect.key);
  if (run == nullptr || run->admission.name != from.name) return;  // an ack will tell
  run->sender.rewind(expect.next);
  run->lease_until = now + run->lease;
  ++resent_total_;
  send_tokens(out);
}

void Executor::on_stop(const mesh::Stop& stop) {
  if (find(stop.key) != nullptr) forget(stop.key);
}

// At once; a token of it that the engine still reports finds nobody.
void Executor::forget(const mesh::RequestKey& key) {
  Run* run = find(key);
  AORTA_CHECK(run != nullptr, "only what is here can be forgotten");
  if (!run->sender.finished()) {
    commands_.push_back({engine_key(key), std::nullopt});
    ++stops_pending_;
    slot_freed_ = true;
  }
  runs_.erase(key.request);
}

void Executor::decline(const std::string& admission, const mesh::RequestKey& key, LostReason reason,
                       std::string sentence, mesh::Outbox& out, bool invalid) {
  ++declined_total_[reason];
  out.send({admission, {}}, mesh::Declined{key, reason, std::move(sentence), invalid});
}

void Executor::on_engine(const engine::StepReport& step, const engine::EngineLoad& load,
                         std::uint64_t turns, Duration took, TimePoint now, mesh::Outbox& out) {
  load_ = load;
  turns_ = turns;
  pace_.add(step, took);
  prefill_total_ += step.prefill_tokens;
  preempted_total_ += step.preempted;
  drafted_total_ += step.drafted;
  drafts_kept_total_ += step.drafts_kept;
  for (const engine::Begun& begun : step.begun) {
    Run* run = find({begun.key.request, begun.key.epoch});
    if (run == nullptr) continue;
    asked_tokens_total_ += run->tokens + run->sender.next().value - run->first.value;
    cached_tokens_total_ += begun.cached_tokens;
    // Begun again, it finds its own blocks: that is no figure of the request's.
    if (!run->begun) run->cached_tokens = begun.cached_tokens;
  }
  const std::size_t tokens = step.prefill_tokens + step.tokens.size();
  if (tokens > 0) step_tokens_.observe(double(tokens));
  for (const engine::Generated& token : step.tokens) {
    Run* run = find({token.key.request, token.key.epoch});
    // Of an epoch that was stopped, or of one that was stopped and started again: such a token
    // comes once more at its place.
    if (run == nullptr || run->sender.finished() || token.index != run->sender.next()) continue;
    if (run->sender.unacknowledged() == 0) run->unheard_since = now;
    run->begun = true;
    run->sender.append(token.id, static_cast<mesh::Finish>(token.finish), logprobs_of(token));
    ++generated_total_;
    slot_freed_ = slot_freed_ || run->sender.finished();
  }
  if (load_.slots_used <= slots_used()) stops_pending_ = 0;
  send_tokens(out);
  finish_turn(now, out);
}

void Executor::on_start_refused(const engine::SequenceKey& key, const Error& error, TimePoint now,
                                mesh::Outbox& out) {
  const mesh::RequestKey request{key.request, key.epoch};
  const Run* run = find(request);
  if (run == nullptr) return;
  const bool invalid = error.code == ErrorCode::invalid_argument;
  decline(run->admission.name, request, LostReason::refused, error.message, out, invalid);
  runs_.erase(key.request);
  slot_freed_ = true;
  finish_turn(now, out);
}

// One message per admission.
void Executor::send_tokens(mesh::Outbox& out) {
  std::map<std::string, mesh::Tokens> by_admission;
  for (auto& [id, run] : runs_) {
    std::optional<mesh::TokenRun> unsent = run.sender.take_unsent();
    if (!unsent) continue;
    if (unsent->first == run.first) unsent->cached_tokens = run.cached_tokens;
    by_admission[run.admission.name].runs.push_back(std::move(*unsent));
  }
  for (auto& [name, tokens] : by_admission) {
    tokens.numerics_id = info_.numerics_id;
    out.send({name, {}}, std::move(tokens));
  }
}

void Executor::expire_leases(TimePoint now, mesh::Outbox& out) {
  std::vector<std::pair<std::string, mesh::RequestKey>> expired;
  for (const auto& [id, run] : runs_) {
    if (now >= run.lease_until) expired.emplace_back(run.admission.name, run.sender.key());
  }
  for (const auto& [admission, key] : expired) {
    forget(key);
    decline(admission, key, LostReason::lease, "its lease ran out without an ack", out);
  }
}

// To a peer that is there and yet silent: what we sent, or its ack, was dropped.
void Executor::resend_unheard(TimePoint now) {
  for (auto& [id, run] : runs_) {
    const bool owed = run.sender.unacknowledged() > 0 || run.sender.finished();
    if (!owed || now - run.unheard_since < options_.resend_after) continue;
    const mesh::Peering::Peer* peer = peering_.find(run.admission.name);
    if (peer == nullptr || peer->self != run.admission) continue;
    run.sender.rewind_all();
    run.unheard_since = now;
    ++resent_total_;
  }
}

// Other executors go on from what admission has.
void Executor::hand_over(bool finished_too, mesh::Outbox& out) {
  std::vector<std::pair<std::string, mesh::RequestKey>> leaving;
  for (const auto& [id, run] : runs_) {
    if (finished_too || !run.sender.finished()) {
      leaving.emplace_back(run.admission.name, run.sender.key());
    }
  }
  for (const auto& [admission, key] : leaving) {
    forget(key);
    decline(admission, key, LostReason::draining, fmt::format("{} is draining", self().self.name),
            out);
  }
}

std::vector<EngineCommand> Executor::take_engine_commands() { return std::exchange(commands_, {}); }

}  // namespace aorta::executor
