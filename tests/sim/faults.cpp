// What befalls a simulated mesh: what each fault does to its victim.
#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/world.hpp"

namespace aorta::sim {

using std::chrono::milliseconds;

TimePoint World::until(Random& random, std::int64_t most_ms) const {
  return timeline_.now() + milliseconds(random.between(10, most_ms));
}

// Started again after a while, unless a node agent does it.
void World::kill(Process& process, Random& random, std::int64_t away_ms) {
  cover(&process);
  tell(process.name(), "is killed");
  process.kill();
  const auto away = milliseconds(random.between(20, away_ms));
  place_slack_ += away + milliseconds(300);  // what is sent to it meanwhile waits
  disturb(timeline_.now() + away);
  restart(process, away, away);
}

void World::pause(Process& process, Random& random, std::int64_t most_ms) {
  cover(&process);
  if (!process.alive()) return;
  const TimePoint end = until(random, most_ms);
  tell(process.name(), fmt::format("stands still for {} ms", to_ms(end - timeline_.now())));
  process.pause(end);
  hampered_until_[&process] = std::max(hampered_until_[&process], end);
  place_slack_ += end - timeline_.now();
  disturb(end);
}

void World::slow(Process& process, Random& random) {
  cover(&process);
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

void World::kill(ExecutorProcess& victim) {
  cover(&victim);
  tell(victim.name(), "is killed");
  victim.kill();
}

void World::crash(ExecutorProcess& victim) {
  cover(&victim);
  tell(victim.name(), "crashes by SIGSEGV");
  victim.crash();
}

void World::stall_engine(ExecutorProcess& victim, Random& random) {
  cover(&victim);
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

void World::drain(ExecutorProcess& victim) {
  cover(&victim);
  tell(victim.name(), "is asked to drain");
  victim.drain();
}

void World::kill_all_executors() {
  cover(nullptr);
  for (std::size_t i = executors_.size(); i-- > 0;) {
    tell(executors_[i]->name(), "is killed with all others");
    executors_[i]->kill();
  }
}

void World::add_twin(ExecutorProcess& victim) {
  if (agents_.contains(&victim)) return;  // an agent's children have names of their own
  cover(&victim);
  tell(victim.name(), "gets a twin");
  free_seat(victim.name())->boot();
}

std::pair<std::string, std::string> World::any_connection(Random& random) const {
  const auto all = network_.connections();
  if (all.empty()) return {};
  return all[random.next() % all.size()];
}

void World::disconnect(Random& random) {
  const auto [dialler, binder] = any_connection(random);
  cover(nullptr);
  tell("network", fmt::format("cuts {} from {}", dialler, binder));
  network_.cut(dialler, binder, timeline_.now());
  place_slack_ += milliseconds(300);
  disturb(timeline_.now() + milliseconds(200));
}

void World::partition(Random& random) {
  const auto [dialler, binder] = any_connection(random);
  const TimePoint end = until(random, 4000);
  cover(nullptr);
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
  cover(nullptr);
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
  cover(nullptr);
  tell("network", fmt::format("takes {} ms more between {} and {}, for {} ms", by.count(), dialler,
                              binder, to_ms(end - timeline_.now())));
  network_.delay(dialler, binder, by, end);
  place_slack_ += by;
  disturb(end + by);
}

void World::fill_journal(AdmissionProcess& victim, Random& random) {
  if (!journal_) return;
  cover(&victim);
  const TimePoint end = until(random, 2500);
  tell(victim.name(), fmt::format("has no room for its journal for {} ms",
                                  to_ms(end - timeline_.now())));
  victim.journal().fill(end);
  disturb(end);
}

// Forward only: a steady clock never goes back.
void World::step_clock(Random& random) {
  std::vector<Process*> all{scheduler_.get(), monitor_.get(), cache_.get()};
  if (node_) all.push_back(node_.get());
  for (auto& admission : admissions_) all.push_back(admission.get());
  for (auto& executor : executors_) all.push_back(executor.get());
  Process& victim = *all[random.next() % all.size()];
  const milliseconds ahead(random.between(50, 4000));
  cover(nullptr);
  tell(victim.name(), fmt::format("has its clock step {} ms ahead", ahead.count()));
  victim.step_clock(ahead);
  const bool keeps_time_for_clients =
      std::any_of(admissions_.begin(), admissions_.end(),
                  [&](const auto& admission) { return admission.get() == &victim; });
  if (keeps_time_for_clients) {
    for (auto& client : clients_) client->hurry(ahead);
  }
  place_slack_ += ahead;
}

}  // namespace aorta::sim
