// What befalls a simulated mesh: drawn from the seed beforehand, each with a random stream of its
// own, so that leaving one out (--shrink) changes no other.
#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/world.hpp"

namespace aorta::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {
constexpr Duration aim_for = milliseconds(400);
}

struct World::FaultKind {
  const char* name;
  double Faults::*expected;
  void (World::*strike)(Random&);
};

Faults Faults::scaled(double factor) const {
  Faults faults = *this;
  for (double* rate :
       {&faults.executor_kill,    &faults.executor_crash,  &faults.executor_pause,
        &faults.executor_slow,    &faults.engine_stall,    &faults.executor_drain,
        &faults.executor_twin,    &faults.scheduler_kill,  &faults.all_executors_killed,
        &faults.scheduler_pause,  &faults.scheduler_slow,  &faults.admission_kill,
        &faults.admission_pause,  &faults.admission_slow,  &faults.monitor_kill,
        &faults.cache_kill,       &faults.bystander_pause, &faults.node_kill,
        &faults.node_pause,       &faults.disconnect,      &faults.partition,
        &faults.one_way_partition, &faults.delay,          &faults.clock_step,
        &faults.poison}) {
    *rate *= factor;
  }
  return faults;
}

void World::plan_faults() {
  static constexpr FaultKind kinds[] = {
      {"executor killed", &Faults::executor_kill, &World::kill_executor},
      {"executor crashed", &Faults::executor_crash, &World::crash_executor},
      {"executor paused", &Faults::executor_pause, &World::pause_executor},
      {"executor slowed", &Faults::executor_slow, &World::slow_executor},
      {"engine stalled", &Faults::engine_stall, &World::stall_engine},
      {"executor drained", &Faults::executor_drain, &World::drain_executor},
      {"all executors killed", &Faults::all_executors_killed, &World::kill_all_executors},
      {"executor's name taken", &Faults::executor_twin, &World::add_twin},
      {"scheduler killed", &Faults::scheduler_kill, &World::kill_scheduler},
      {"scheduler paused", &Faults::scheduler_pause, &World::pause_scheduler},
      {"scheduler slowed", &Faults::scheduler_slow, &World::slow_scheduler},
      {"admission killed", &Faults::admission_kill, &World::kill_admission},
      {"admission paused", &Faults::admission_pause, &World::pause_admission},
      {"admission slowed", &Faults::admission_slow, &World::slow_admission},
      {"monitor killed", &Faults::monitor_kill, &World::kill_monitor},
      {"cache killed", &Faults::cache_kill, &World::kill_cache},
      {"cache, monitor paused", &Faults::bystander_pause, &World::pause_bystander},
      {"node agent killed", &Faults::node_kill, &World::kill_node},
      {"node agent paused", &Faults::node_pause, &World::pause_node},
      {"disconnected", &Faults::disconnect, &World::disconnect},
      {"partitioned", &Faults::partition, &World::partition},
      {"partitioned one way", &Faults::one_way_partition, &World::partition_one_way},
      {"connection delayed", &Faults::delay, &World::delay_connection},
      {"clock stepped", &Faults::clock_step, &World::step_clock},
  };
  const TimePoint begin = timeline_.now() + milliseconds(200);
  faults_end_ = begin + options_.faults_for;
  std::uint64_t stream = seed_ * 7919;
  for (const FaultKind& kind : kinds) {
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
  (this->*kind.strike)(random);
}

void World::disturb(TimePoint until) { disturbed_until_ = std::max(disturbed_until_, until); }

// Counts the requests that are in its way: an executor's fault meets those that it has.
void World::cover(const char* fault, const Process* victim) {
  Coverage::Row& row = tally_.coverage.hits[fault];
  for (const auto& admission : admissions_) {
    if (!admission->alive()) continue;
    for (const auto& [id, request] : admission->core().requests().all()) {
      const auto stage = stage_of(*request);
      if (!stage) continue;
      const admission::Placed* placed = request->placed();
      if (victim != nullptr && placed != nullptr && placed->executor.name != victim->name()) continue;
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

TimePoint World::until(Random& random, std::int64_t most_ms) const {
  return timeline_.now() + milliseconds(random.between(10, most_ms));
}

// Started again after a while, unless a node agent does it.
void World::kill(Process& process, Random& random, std::int64_t away_ms) {
  tell(process.name(), "is killed");
  process.kill();
  const auto away = milliseconds(random.between(20, away_ms));
  place_slack_ += away + milliseconds(300);  // what is sent to it meanwhile waits
  disturb(timeline_.now() + away);
  restart(process, away, away);
}

void World::pause(Process& process, Random& random, std::int64_t most_ms) {
  if (!process.alive()) return;
  const TimePoint end = until(random, most_ms);
  tell(process.name(), fmt::format("stands still for {} ms", to_ms(end - timeline_.now())));
  process.pause(end);
  hampered_until_[&process] = std::max(hampered_until_[&process], end);
  place_slack_ += end - timeline_.now();
  disturb(end);
}

void World::slow(Process& process, Random& random) {
  if (!process.alive()) return;
  const TimePoint end = until(random, 1500);
  const milliseconds turn(random.between(1, 8));
  tell(process.name(), fmt::format("takes {} ms for each turn, for {} ms", turn.count(),
                                   to_ms(end - timeline_.now())));
  process.slow(end, turn);
  hampered_until_[&process] = std::max(hampered_until_[&process], end + (end - timeline_.now()));
  place_slack_ += (end - timeline_.now()) * 2;
  disturb(end);
}

void World::kill_executor(Random& random) {
  ExecutorProcess& victim = any_executor(random);
  cover("executor killed", &victim);
  tell(victim.name(), "is killed");
  victim.kill();
}

void World::crash_executor(Random& random) {
  ExecutorProcess& victim = any_executor(random);
  cover("executor crashed", &victim);
  tell(victim.name(), "crashes by SIGSEGV");
  victim.crash();
}

void World::pause_executor(Random& random) {
  ExecutorProcess& victim = any_executor(random);
  cover("executor paused", &victim);
  pause(victim, random, 3000);
}

void World::slow_executor(Random& random) {
  ExecutorProcess& victim = any_executor(random);
  cover("executor slowed", &victim);
  slow(victim, random);
}

void World::stall_engine(Random& random) {
  ExecutorProcess& victim = any_executor(random);
  cover("engine stalled", &victim);
  if (random.chance(0.25)) {
    tell(victim.name(), "has an engine that stands still from now on");
    return victim.stall(timeline_.now() + std::chrono::hours(1));
  }
  const TimePoint end = until(random, 4000);
  tell(victim.name(), fmt::format("has an engine that stands still for {} ms",
                                  to_ms(end - timeline_.now())));
  victim.stall(end);
  disturb(end);
}

void World::drain_executor(Random& random) {
  ExecutorProcess& victim = any_executor(random);
  cover("executor drained", &victim);
  tell(victim.name(), "is asked to drain");
  victim.drain();
}

void World::kill_all_executors(Random&) {
  cover("all executors killed", nullptr);
  for (std::size_t i = executors_.size(); i-- > 0;) {
    tell(executors_[i]->name(), "is killed with all others");
    executors_[i]->kill();
  }
}

void World::add_twin(Random& random) {
  ExecutorProcess& victim = any_executor(random);
  if (agents_.contains(&victim)) return;  // an agent's children have names of their own
  cover("executor's name taken", &victim);
  tell(victim.name(), "gets a twin");
  free_seat(victim.name())->boot();
}

void World::kill_scheduler(Random& random) {
  cover("scheduler killed", nullptr);
  kill(*scheduler_, random, 1200);
}

void World::pause_scheduler(Random& random) {
  cover("scheduler paused", nullptr);
  pause(*scheduler_, random, 2500);
}

void World::slow_scheduler(Random& random) {
  cover("scheduler slowed", nullptr);
  slow(*scheduler_, random);
}

void World::kill_admission(Random& random) {
  AdmissionProcess& victim = any_admission(random);
  cover("admission killed", nullptr);
  kill(victim, random, 2500);
}

void World::pause_admission(Random& random) {
  cover("admission paused", nullptr);
  pause(any_admission(random), random, 2500);
}

void World::slow_admission(Random& random) {
  cover("admission slowed", nullptr);
  slow(any_admission(random), random);
}

void World::kill_monitor(Random& random) {
  cover("monitor killed", nullptr);
  kill(*monitor_, random, 1200);
}

void World::kill_cache(Random& random) {
  cover("cache killed", nullptr);
  kill(*cache_, random, 1200);
}

void World::pause_bystander(Random& random) {
  cover("cache, monitor paused", nullptr);
  if (random.chance(0.5)) return pause(*cache_, random, 3000);
  pause(*monitor_, random, 3000);
}

void World::kill_node(Random& random) {
  if (!node_) return;
  cover("node agent killed", nullptr);
  kill(*node_, random, 1200);
}

void World::pause_node(Random& random) {
  if (!node_) return;
  cover("node agent paused", nullptr);
  pause(*node_, random, 3000);
}

std::pair<std::string, std::string> World::any_connection(Random& random) const {
  const auto all = network_.connections();
  if (all.empty()) return {};
  return all[random.next() % all.size()];
}

void World::disconnect(Random& random) {
  const auto [dialler, binder] = any_connection(random);
  cover("disconnected", nullptr);
  tell("network", fmt::format("cuts {} from {}", dialler, binder));
  network_.cut(dialler, binder, timeline_.now());
  place_slack_ += milliseconds(300);
  disturb(timeline_.now() + milliseconds(200));
}

void World::partition(Random& random) {
  const auto [dialler, binder] = any_connection(random);
  const TimePoint end = until(random, 4000);
  cover("partitioned", nullptr);
  tell("network", fmt::format("keeps {} from {} for {} ms", dialler, binder,
                              to_ms(end - timeline_.now())));
  network_.cut(dialler, binder, end);
  place_slack_ += end - timeline_.now() + milliseconds(300);
  disturb(end + milliseconds(200));
}

void World::partition_one_way(Random& random) {
  const auto [dialler, binder] = any_connection(random);
  const bool up = random.chance(0.5);
  const TimePoint end = until(random, 3000);
  cover("partitioned one way", nullptr);
  tell("network", fmt::format("holds back what {} sends to {} for {} ms", up ? dialler : binder,
                              up ? binder : dialler, to_ms(end - timeline_.now())));
  network_.block(dialler, binder, up ? Network::Direction::up : Network::Direction::down, end);
  place_slack_ += end - timeline_.now();
  disturb(end);
  // Its heartbeats find that out, too: the connection breaks, and what was held back is lost.
  if (random.chance(0.5)) {
    timeline_.at(end - milliseconds(1), [this, dialler = dialler, binder = binder] {
      network_.cut(dialler, binder, timeline_.now());
    });
    disturb(end + milliseconds(200));
  }
}

void World::delay_connection(Random& random) {
  const auto [dialler, binder] = any_connection(random);
  const TimePoint end = until(random, 1500);
  const milliseconds by(random.between(30, 400));
  cover("connection delayed", nullptr);
  tell("network", fmt::format("takes {} ms more between {} and {}, for {} ms", by.count(), dialler,
                              binder, to_ms(end - timeline_.now())));
  network_.delay(dialler, binder, by, end);
  place_slack_ += by;
  disturb(end + by);
}

// Forward only: a steady clock never goes back.
void World::step_clock(Random& random) {
  std::vector<Process*> all{scheduler_.get(), monitor_.get(), cache_.get()};
  if (node_) all.push_back(node_.get());
  for (auto& admission : admissions_) all.push_back(admission.get());
  for (auto& executor : executors_) all.push_back(executor.get());
  Process& victim = *all[random.next() % all.size()];
  const milliseconds ahead(random.between(50, 4000));
  cover("clock stepped", nullptr);
  tell(victim.name(), fmt::format("has its clock step {} ms ahead", ahead.count()));
  victim.step_clock(ahead);
  const bool keeps_time_for_clients =
      std::any_of(admissions_.begin(), admissions_.end(),
                  [&](const auto& admission) { return admission.get() == &victim; });
  if (keeps_time_for_clients) {
    for (auto& client : clients_) client->hurry_park(ahead);
  }
  place_slack_ += ahead;
}

}  // namespace aorta::sim
