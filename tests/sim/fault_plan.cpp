// What befalls a simulated mesh, and when: drawn from the seed beforehand, each with a random stream
// of its own, so that leaving one out (--shrink) changes no other.
#include <algorithm>

#include "tests/sim/world.hpp"

namespace aorta::sim {

using std::chrono::milliseconds;

namespace {
constexpr Duration aim_for = milliseconds(400);
}

std::span<const World::FaultKind> World::fault_kinds() {
  static constexpr FaultKind kinds[] = {
      {"executor killed", &Faults::executor_kill,
       [](World& w, Random& r) { w.kill(w.any_executor(r)); }},
      {"executor crashed", &Faults::executor_crash,
       [](World& w, Random& r) { w.crash(w.any_executor(r)); }},
      {"executor paused", &Faults::executor_pause,
       [](World& w, Random& r) { w.pause(w.any_executor(r), r, 3000); }},
      {"executor slowed", &Faults::executor_slow,
       [](World& w, Random& r) { w.slow(w.any_executor(r), r); }},
      {"engine stalled", &Faults::engine_stall,
       [](World& w, Random& r) { w.stall_engine(w.any_executor(r), r); }},
      {"executor drained", &Faults::executor_drain,
       [](World& w, Random& r) { w.drain(w.any_executor(r)); }},
      {"all executors killed", &Faults::all_executors_killed,
       [](World& w, Random&) { w.kill_all_executors(); }},
      {"executor's name taken", &Faults::executor_twin,
       [](World& w, Random& r) { w.add_twin(w.any_executor(r)); }},
      {"scheduler killed", &Faults::scheduler_kill,
       [](World& w, Random& r) { w.kill(*w.scheduler_, r, 1200); }},
      {"scheduler paused", &Faults::scheduler_pause,
       [](World& w, Random& r) { w.pause(*w.scheduler_, r, 2500); }},
      {"scheduler slowed", &Faults::scheduler_slow,
       [](World& w, Random& r) { w.slow(*w.scheduler_, r); }},
      {"admission killed", &Faults::admission_kill,
       [](World& w, Random& r) { w.kill(w.any_admission(r), r, 2500); }},
      {"admission paused", &Faults::admission_pause,
       [](World& w, Random& r) { w.pause(w.any_admission(r), r, 2500); }},
      {"admission slowed", &Faults::admission_slow,
       [](World& w, Random& r) { w.slow(w.any_admission(r), r); }},
      {"monitor killed", &Faults::monitor_kill,
       [](World& w, Random& r) { w.kill(*w.monitor_, r, 1200); }},
      {"cache killed", &Faults::cache_kill,
       [](World& w, Random& r) { w.kill(*w.cache_, r, 1200); }},
      {"cache, monitor paused", &Faults::bystander_pause,
       [](World& w, Random& r) {
         r.chance(0.5) ? w.pause(*w.cache_, r, 3000) : w.pause(*w.monitor_, r, 3000);
       }},
      {"node agent killed", &Faults::node_kill,
       [](World& w, Random& r) {
         if (w.node_) w.kill(*w.node_, r, 1200);
       }},
      {"node agent paused", &Faults::node_pause,
       [](World& w, Random& r) {
         if (w.node_) w.pause(*w.node_, r, 3000);
       }},
      {"disconnected", &Faults::disconnect, [](World& w, Random& r) { w.disconnect(r); }},
      {"partitioned", &Faults::partition, [](World& w, Random& r) { w.partition(r); }},
      {"partitioned one way", &Faults::one_way_partition,
       [](World& w, Random& r) { w.partition_one_way(r); }},
      {"connection delayed", &Faults::delay, [](World& w, Random& r) { w.delay_connection(r); }},
      {"clock stepped", &Faults::clock_step, [](World& w, Random& r) { w.step_clock(r); }},
      {"journal full", &Faults::journal_full,
       [](World& w, Random& r) { w.fill_journal(w.any_admission(r), r); }},
  };
  return kinds;
}

Faults Faults::scaled(double factor) const {
  Faults faults = *this;
  for (const World::FaultKind& kind : World::fault_kinds()) faults.*kind.expected *= factor;
  faults.poison *= factor;
  return faults;
}

void World::plan_faults() {
  const TimePoint begin = timeline_.now() + milliseconds(200);
  faults_end_ = begin + options_.faults_for;
  std::uint64_t stream = seed_ * 7919;
  for (const FaultKind& kind : fault_kinds()) {
    Random random(++stream);
    random.next();
    const double expected = options_.faults.*kind.expected;
    int count = static_cast<int>(expected);
    if (random.chance(expected - count)) ++count;
    for (int i = 0; i < count; ++i) {
      const Duration when(random.between(0, options_.faults_for.count()));
      const bool aims = random.chance(options_.aimed);
      const auto aim = static_cast<Stage>(random.between(0, stage_count - 1));
      const Random own(random.next());
      if (options_.without_faults.contains(strikes_++)) continue;
      timeline_.at(begin + when, [this, &kind, own, aims, aim] {
        if (!aims) return strike(kind, own);
        aimed_.push_back({&kind, own, aim, timeline_.now() + aim_for});
      });
    }
  }
}

// Strikes wait until a request is where they are aimed at, but not for ever.
void World::strike_aimed() {
  for (std::size_t i = 0; i < aimed_.size();) {
    const Aimed aimed = aimed_[i];
    const bool hit = find_target(aimed.stage);
    if (!hit && timeline_.now() < aimed.until) {
      ++i;
      continue;
    }
    aimed_.erase(aimed_.begin() + static_cast<std::ptrdiff_t>(i));
    strike(*aimed.kind, aimed.random);
    target_.clear();
  }
}

bool World::find_target(Stage stage) {
  const bool on_executor = stage >= Stage::placed && stage <= Stage::tail;
  for (const auto& admission : admissions_) {
    if (!admission->alive()) continue;
    for (const auto& [id, request] : admission->core().requests().all()) {
      const admission::Placed* placed = request->placed();
      if ((placed != nullptr) != on_executor || stage_of(*request) != stage) continue;
      if (placed != nullptr) target_ = placed->executor.name;
      return true;
    }
  }
  return false;
}

void World::strike(const FaultKind& kind, Random random) {
  ++tally_.faults;
  ++tally_.coverage.times[kind.name];
  disturb(timeline_.now());
  striking_ = &kind;
  kind.strike(*this, random);
}

void World::disturb(TimePoint until) { disturbed_until_ = std::max(disturbed_until_, until); }

// Counts the requests that are in its way: an executor's fault meets those that it has.
void World::cover(const Process* victim) {
  const bool executor = victim != nullptr && victim->kind() == mesh::ServiceKind::executor;
  Coverage::Row& row = tally_.coverage.hits[striking_->name];
  for (const auto& admission : admissions_) {
    if (!admission->alive()) continue;
    for (const auto& [id, request] : admission->core().requests().all()) {
      const auto stage = stage_of(*request);
      if (!stage) continue;
      const admission::Placed* placed = request->placed();
      if (executor && placed != nullptr && placed->executor.name != victim->name()) continue;
      ++row[static_cast<std::size_t>(*stage)];
    }
  }
}

std::optional<Stage> World::stage_of(const admission::Request& request) const {
  using admission::Phase;
  switch (request.phase()) {
    case Phase::held:
      return Stage::held;
    case Phase::queued:
      return Stage::queued;
    case Phase::parked:
      return Stage::parked;
    case Phase::ended:
      if (request.ledger.subscribers().empty()) return std::nullopt;
      return Stage::unread;
    case Phase::placed:
      break;
  }
  Stage stage = Stage::placed;
  for (const auto& executor : executors_) {
    if (!executor->alive() || executor->self() != request.placed()->executor) continue;
    executor->core().each_run([&](const executor::Executor::RunView& run) {
      if (run.key != request.key()) return;
      stage = run.finished                                ? Stage::tail
              : run.begun                                 ? Stage::decode
              : request.ledger.next().value > 0           ? Stage::recompute
                                                          : Stage::prefill;
    });
  }
  return stage;
}

ExecutorProcess& World::any_executor(Random& random) {
  for (auto& executor : executors_) {
    if (executor->name() == target_ && executor->alive()) return *executor;
  }
  return *executors_[random.next() % executors_.size()];
}

AdmissionProcess& World::any_admission(Random& random) {
  return *admissions_[random.next() % admissions_.size()];
}

}  // namespace aorta::sim
