#include "actors/scheduler/executors.hpp"

#include <algorithm>
#include <utility>

#include "engine/engine.hpp"

namespace aorta::scheduler {
namespace {

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

std::uint32_t blocks_of(std::uint32_t tokens) {
  return (tokens + engine::block_tokens - 1) / engine::block_tokens;
}

std::uint32_t less(std::uint32_t a, std::uint32_t b) { return a > b ? a - b : 0; }

}  // namespace

bool Executor::serving() const {
  return state == mesh::ServiceState::ready && !stalled && !leaving && slots_total > 0;
}

bool Executor::has_suspect() const {
  return std::any_of(placed.begin(), placed.end(),
                     [](const auto& entry) { return entry.second.suspect; });
}

std::uint32_t Executor::used() const {
  std::uint32_t used = holding;
  for (const auto& [key, placement] : placed) used += placement.seen ? 0 : 1;
  return used;
}

std::uint64_t Executor::prefill() const {
  std::uint64_t tokens = 0;
  for (const auto& [key, placement] : placed) tokens += placement.prefill;
  return tokens;
}

std::uint64_t Executor::whole_prefill() const {
  std::uint64_t tokens = 0;
  for (const auto& [key, placement] : placed) tokens += placement.tokens;
  return tokens;
}

std::uint32_t Executor::free(TimePoint now) const {
  if (!serving() || refused || alone) return 0;
  const std::uint32_t limit = now < probation_until ? 1 : slots_total;
  return less(limit, used());
}

std::uint32_t Executor::free_blocks() const {
  std::uint32_t coming = 0;
  for (const auto& [key, placement] : placed) {
    if (!placement.seen) coming += blocks_of(placement.tokens);
  }
  return less(blocks_total, blocks_used + coming);
}

void Executors::joined(const mesh::PeerId& self, TimePoint now) {
  Executor executor;
  executor.self = self;
  executor.progressed = executor.beat_at = now;
  std::erase_if(suspects_, [&](const auto& suspect) { return suspect.second <= now; });
  if (auto it = suspects_.find(self.name); it != suspects_.end()) {
    executor.probation_until = it->second;
  }
  table_.insert_or_assign(self.name, std::move(executor));
}

void Executors::left(const std::string& name) { table_.erase(name); }

Executor* Executors::find(const std::string& name) {
  auto it = table_.find(name);
  return it == table_.end() ? nullptr : &it->second;
}

Executor* Executors::find(const mesh::PeerId& self) {
  Executor* executor = find(self.name);
  return executor != nullptr && executor->self == self ? executor : nullptr;
}

void Executors::beat(Executor& e, const mesh::ExecutorBeat& beat, TimePoint now) {
  const bool was_ready = e.state == mesh::ServiceState::ready;
  e.state = beat.state;
  e.model = beat.model;
  e.numerics_id = beat.numerics_id;
  e.slots_total = beat.slots_total;
  e.blocks_total = beat.blocks_total;
  e.blocks_used = beat.blocks_used;
  e.blocks_cached = beat.blocks_cached;
  e.median_step_us = beat.median_step_us;
  e.prefill_per_second = beat.prefill_per_second;
  e.heard = beat.heard;
  e.refused = false;
  if (!was_ready && e.state == mesh::ServiceState::ready) {
    e.ready_since = now;
    if (auto it = suspects_.find(e.self.name); it != suspects_.end()) {
      e.probation_until = now + options_.probation;  // it serves from now on: the test begins
      suspects_.erase(it);
    }
  }

  e.claimed.clear();
  e.holding = 0;
  for (const mesh::RunningRequest& running : beat.running) {
    if (e.claimed.emplace(running.key, running).second && !running.finished) ++e.holding;
  }
  if (beat.steps != e.steps || e.beats == 0) {
    note_pace(e, now);
    e.stalled = false;
    e.progressed = now;
  } else if (e.holding == 0) {
    e.progressed = now;  // nothing to do is not standing still
    // It may have shed what it was stuck with; only a request can tell whether it goes again.
    if (e.stalled && now >= e.probation_until) {
      e.stalled = false;
      suspect(e.self.name, now);
    }
  }
  e.steps = beat.steps;
  ++e.beats;
  e.beat_at = now;

  for (auto& [key, placement] : e.placed) {
    const auto claim = e.claimed.find(key);
    if (claim == e.claimed.end()) continue;
    placement.seen = true;
    if (!claim->second.finished && claim->second.next <= placement.first) continue;
    placement.tokens = placement.prefill = 0;
    placement.suspect = false;
    e.probation_until = now;  // its engine goes
  }
  if (e.alone && !e.claimed.contains(*e.alone) && !e.placed.contains(*e.alone)) e.alone.reset();
}

void Executors::suspect(const std::string& name, TimePoint now) {
  suspects_[name] = now + options_.probation;
  if (Executor* executor = find(name)) executor->probation_until = now + options_.probation;
}

// It has stepped. If it was called stalled that was wrong: under another load it is as slow again.
void Executors::note_pace(Executor& e, TimePoint now) const {
  if (e.stalled) {
    if (stall_limit(e) < options_.stall_most) ++e.stall_doublings;
    e.slow_at = now;
  } else if (e.stall_doublings > 0 && now - e.slow_at >= options_.stall_calm) {
    --e.stall_doublings;
    e.slow_at = now;
  }
}

Duration Executors::stall_limit(const Executor& e) const {
  const double step_s = std::max(e.median_step_us * 1e-6, prefill_step_seconds(e));
  const std::chrono::duration<double> steps(step_s * options_.stall_steps);
  const Duration limit =
      std::max(options_.stall_after, std::chrono::duration_cast<Duration>(steps));
  return std::max(limit, std::min(limit * (1 << e.stall_doublings), options_.stall_most));
}

std::vector<std::string> Executors::find_stalled(TimePoint now) {
  std::vector<std::string> found;
  for (auto& [name, e] : table_) {
    if (e.stalled) {
      if (!e.placed.empty()) found.push_back(name);  // adopted since, after our own restart
      continue;
    }
    if (e.holding == 0 || now - e.progressed <= stall_limit(e)) continue;
    e.stalled = true;
    found.push_back(name);
  }
  for (const std::string& name : found) suspect(name, now);
  return found;
}

void Executors::forgive(Duration gap) {
  for (auto& [name, executor] : table_) executor.progressed += gap;
}

void Executors::want_drained(const std::set<std::string>& names) {
  for (auto& [name, executor] : table_) executor.leaving = names.contains(name);
}

double Executors::prefill_seconds(const Executor& e, std::uint64_t tokens) const {
  const std::uint32_t rate =
      e.prefill_per_second > 0 ? e.prefill_per_second : options_.assumed_prefill_per_second;
  return static_cast<double>(tokens) / rate;
}

// A step with as much of a prompt in it as one takes; 0 when none waits for its prefill. Nobody
// is called stuck for what its cache turned out not to have.
double Executors::prefill_step_seconds(const Executor& e) const {
  return prefill_seconds(e, std::min<std::uint64_t>(e.whole_prefill(), options_.step_tokens));
}

// The last token is computed in any case, and with it its block.
std::uint32_t Executors::cached_tokens(const Executor& e, const Need& need) const {
  if (need.tokens == 0) return 0;
  const std::uint32_t most = (need.tokens - 1) / engine::block_tokens;
  return std::min(e.prefixes.known(need.prefix), most) * engine::block_tokens;
}

// Prefill before it, what its own prefix leaves to compute, and a row of every step for each
// neighbour.
double Executors::begins_in_seconds(const Executor& e, const Need& need) const {
  const double step_seconds = std::max<std::uint32_t>(e.median_step_us, 1000) * 1e-6;
  return prefill_seconds(e, need.tokens - cached_tokens(e, need) + e.prefill()) +
         e.used() * step_seconds;
}

bool Executors::within_ramp(const Executor& e, TimePoint now) const {
  const Duration age = now - e.ready_since;
  if (age >= options_.slow_start) return true;
  return e.used() < std::max(1.0, seconds(age) / seconds(options_.slow_start) * e.slots_total);
}

bool Executors::room(const Executor& e, const Need& need, TimePoint now) const {
  if (e.free(now) == 0 || (need.alone && e.used() > 0)) return false;
  if (need.suspect && e.has_suspect()) return false;
  // What is longer than the whole pool is the engine's to refuse.
  return e.free_blocks() >= std::min(blocks_of(need.tokens), e.blocks_total);
}

Executor* Executors::best(const Need& need, TimePoint now, Fit& fit) {
  std::vector<Executor*> able;
  bool like_is_left = false;
  for (auto& [name, e] : table_) {
    if (!e.serving() || !(need.model.empty() || need.model == e.model)) continue;
    able.push_back(&e);
    like_is_left = like_is_left || e.numerics_id == need.numerics_id;
  }
  if (!need.numerics_id.empty() && (like_is_left || need.strict)) {
    std::erase_if(able, [&](Executor* e) { return e->numerics_id != need.numerics_id; });
  }
  fit = able.empty() ? Fit::nowhere : Fit::later;

  // An executor beyond its ramp is better than waiting, worse than any other.
  Executor* found = nullptr;
  std::pair<bool, double> least;
  for (Executor* e : able) {
    if (!room(*e, need, now)) continue;
    const std::pair<bool, double> cost{!within_ramp(*e, now), begins_in_seconds(*e, need)};
    if (found == nullptr || cost < least) found = e, least = cost;
  }
  if (found != nullptr) fit = Fit::now;
  return found;
}

void Executors::place(Executor& e, const mesh::RequestKey& key, const Need& need,
                      TokenIndex first) {
  e.placed[key] = {.tokens = need.tokens,
                   .prefill = need.tokens - cached_tokens(e, need),
                   .first = first,
                   .seen = e.claimed.contains(key),
                   .suspect = need.suspect};
  if (need.alone) e.alone = key;
  e.prefixes.note(need.prefix, std::min(e.blocks_total, options_.remember_prefixes));
}

void Executors::release(const mesh::PeerId& executor, const mesh::RequestKey& key) {
  Executor* e = find(executor);
  if (e == nullptr) return;
  e->placed.erase(key);
  if (e->alone == key && !e->claimed.contains(key)) e->alone.reset();
}

void Executors::declined(const mesh::PeerId& executor, const mesh::RequestKey& key) {
  Executor* e = find(executor);
  if (e == nullptr) return;
  auto placement = e->placed.find(key);
  if (placement != e->placed.end() && !placement->second.seen) e->refused = true;
  release(executor, key);
}

std::uint32_t Executors::slots(const std::string& model) const {
  std::uint32_t slots = 0;
  for (const auto& [name, e] : table_) {
    if (e.serving() && (model.empty() || model == e.model)) slots += e.slots_total;
  }
  return slots;
}

std::uint32_t Executors::free(const std::string& model, TimePoint now) const {
  std::uint32_t free = 0;
  for (const auto& [name, e] : table_) {
    if (model.empty() || model == e.model) free += e.free(now);
  }
  return free;
}

}  // namespace aorta::scheduler
