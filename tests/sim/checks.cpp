// What must hold in a simulated mesh. Ledgers and streams: at every turn. Claims of all services
// against each other (actors/claims.hpp, as `aorta audit` does): at every beat. In the end nothing
// is held for anybody.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/sim/world.hpp"

namespace aorta::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration check_every = milliseconds(100);
// Two beats, and a slow message of each.
constexpr Duration reconciled_in = milliseconds(350);
// From the end of a disturbance until the mesh has found out what is lost: reconnecting, greeting.
constexpr Duration after_disturbance = milliseconds(700);
constexpr std::uint32_t poison_crashes = 3;
constexpr double tokens_under_way = 16;  // and what is generated while a network is slower
constexpr double step_ms = 4;            // the shortest step of a simulated engine

}  // namespace

void World::violate(const std::string& what) {
  if (violation_.empty()) violation_ = what;
  tell("VIOLATION", what);
}

void World::tell(const std::string& who, const std::string& what) {
  if (!options_.trace) return;
  const auto at = static_cast<double>((timeline_.now() - Timeline::epoch).count()) / 1e3;
  story_ += fmt::format("{:9.3f} ms  {:12} {}\n", at, who, what);
}

std::string World::short_name(RequestId id) const {
  const auto known = known_.find(id.low);
  if (known == known_.end()) return id.to_string();
  const auto number = id.low >> 2 & 0x3f;
  if (known->second.client->plan().request.choices == 1) return fmt::format("r{}", number);
  return fmt::format("r{}.{}", number, known->second.choice);
}

const Expected* World::expected_of(RequestId id) const {
  const auto known = known_.find(id.low);
  return known == known_.end() ? nullptr : &known->second.client->expected(known->second.choice);
}

void World::watch(Process& process) {
  process.on_turn = [this](Process& turned) { on_turn(turned); };
  process.on_exit = [this](Process& left) {
    tell(left.name(), fmt::format("left with {}", *left.exit_code()));
    // A node agent starts its children again; an executor's death is told by itself.
    const bool executor = std::any_of(executors_.begin(), executors_.end(),
                                      [&](const auto& e) { return e.get() == &left; });
    if (!executor && *left.exit_code() != 78) restart(left, milliseconds(10), milliseconds(300));
  };
}

void World::on_turn(Process& process) {
  for (const auto& admission : admissions_) {
    if (admission.get() == &process) return check_ledgers(*admission);
  }
}

// What is in a ledger is the beginning of the undisturbed answer, and never grows less.
void World::check_ledgers(const AdmissionProcess& admission) {
  if (!admission.violation().empty()) violate(admission.violation());
  for (const auto& [id, request] : admission.core().requests().active()) {
    // Placed there before the crash was known: nobody can tell that it had not arrived.
    const admission::Placed* placed = request->placed();
    const auto crashed = placed == nullptr ? crashed_.end() : crashed_.find(placed->executor);
    if (crashed != crashed_.end()) count_crash(request->key(), crashed->second);
    const auto& generated = request->ledger.generated();
    Checked& checked = checked_[{admission.self(), id, life_of(request->epoch)}];
    if (generated.size() == checked.tokens) continue;
    const Expected* expected = expected_of(id);
    if (expected == nullptr) continue;
    if (generated.size() < checked.tokens || generated.size() > expected->ids.size() ||
        !std::equal(generated.begin() + checked.tokens, generated.end(),
                    expected->ids.begin() + checked.tokens)) {
      violate(fmt::format("the ledger of {} differs from the undisturbed answer at {} of {} tokens",
                          short_name(id), checked.tokens, generated.size()));
    }
    checked.tokens = static_cast<std::uint32_t>(generated.size());
  }
  if (options_.trace) tell_states(admission);
}

void World::tell_states(const AdmissionProcess& admission) {
  for (const auto& [id, request] : admission.core().requests().all()) {
    std::string state = fmt::format("epoch {} {}", request->epoch.value, name_of(request->phase()));
    if (const admission::Placed* placed = request->placed()) {
      state += fmt::format(" on {}{}", placed->executor.name, placed->heard ? ", heard" : "");
    }
    if (const auto& outcome = request->ledger.outcome()) state += ": " + outcome->name();
    Checked& checked = checked_[{admission.self(), id, life_of(request->epoch)}];
    if (checked.told == state) continue;
    checked.told = state;
    tell(admission.name(),
         fmt::format("{} {}, {} tokens", short_name(id), state, request->ledger.next().value));
  }
}

void World::check_claims() {
  next_check_ = timeline_.now() + check_every;
  ++tally_.checks;
  for (const auto& client : clients_) {
    if (!client->violation().empty()) violate(client->violation());
    if (client->ended()) check_outcomes(*client);
  }
  check_stale_runs();
  check_gone_clients();
  check_charges();

  actors::Claims claims;
  for (const auto& admission : admissions_) {
    if (admission->alive()) admission->core().claim(claims, admission->now());
  }
  for (const auto& executor : executors_) {
    if (executor->alive()) executor->core().claim(claims);
  }
  if (scheduler_->alive()) scheduler_->core().claim(claims, scheduler_->now());
  const auto found = actors::find_problems(claims, place_slack_ + reconciled_in);
  std::map<std::string, TimePoint> since;
  // A life that ended in a disturbance is given up after the silence, a request that came over
  // after its lease, an engine after it stood still.
  const TimePoint calm = disturbed_until_ + std::max({silence_, lease_, stall_ * 2}) +
                         after_disturbance;
  for (const actors::Problem& problem : found) {
    const auto before = problems_.find(problem.about);
    const TimePoint first = before == problems_.end() ? timeline_.now() : before->second;
    since[problem.about] = first;
    const bool own_count = problem.about.starts_with("count ");
    const bool misplaced = problem.about.starts_with("place ");
    const TimePoint patience = std::max(first, misplaced ? first : calm) + reconciled_in;
    if (timeline_.now() <= patience && !own_count) continue;
    violate(fmt::format("for {} ms {}", to_ms(timeline_.now() - first), problem.sentence));
  }
  problems_ = std::move(since);
}

// Nothing runs for an admission or a request that is gone, longer than its lease.
void World::check_stale_runs() {
  std::map<std::pair<mesh::PeerId, mesh::RequestKey>, TimePoint> since;
  for (const auto& executor : executors_) {
    if (!executor->alive()) continue;
    const auto hampered = hampered_until_.find(executor.get());
    executor->core().each_run([&](const executor::Executor::RunView& run) {
      for (const auto& admission : admissions_) {
        if (!admission->alive() || admission->self() != run.admission) continue;
        if (admission->behind() || admission->paused()) return;
        const admission::Request* request = admission->core().requests().find(run.key.request);
        if (request == nullptr || request->placed() == nullptr) continue;
        if (request->key() == run.key && request->placed()->executor == executor->self()) return;
      }
      const auto key = std::make_pair(executor->self(), run.key);
      const auto before = stale_runs_.find(key);
      TimePoint first = before == stale_runs_.end() ? timeline_.now() : before->second;
      if (hampered != hampered_until_.end()) first = std::max(first, hampered->second);
      since[key] = first;
      // Its lease ends it at the latest; when all is well again, the scheduler before that.
      const Duration age = timeline_.now() - first;
      const Duration noticed = timeline_.now() - std::max(first, disturbed_until_);
      if (age <= lease_ + milliseconds(500) && noticed <= silence_ + after_disturbance) return;
      violate(fmt::format("{} has run {} for {} ms, although it has ended or gone on elsewhere, "
                          "and its lease is {} ms",
                          executor->name(), short_name(run.key.request), to_ms(age),
                          to_ms(lease_)));
    });
    if (executor->commands_under_way() || executor->behind() || executor->paused()) continue;
    std::uint32_t running = 0;
    executor->core().each_run(
        [&](const executor::Executor::RunView& run) { running += run.finished ? 0 : 1; });
    if (executor->load().slots_used > running) {
      violate(fmt::format("the engine of {} holds {} sequences, its core runs {}", executor->name(),
                          executor->load().slots_used, running));
    }
  }
  stale_runs_ = std::move(since);
}

// Whoever left or cancelled, and whose admission has heard of it, has nothing queued or running.
void World::check_gone_clients() {
  for (const auto& admission : admissions_) {
    if (!admission->alive() || admission->behind()) continue;
    for (const auto& [id, request] : admission->core().requests().active()) {
      const auto known = known_.find(id.low);
      if (known == known_.end() || !known->second.client->wants_nothing()) continue;
      // Brought back from the journal: it waits for somebody to ask, and runs no more.
      if (request->begun_anew && request->phase() == admission::Phase::parked) continue;
      violate(fmt::format("{} is {} at {}, although its client is gone", short_name(id),
                          name_of(request->phase()), admission->name()));
    }
  }
}

// Tenants pay once for what engines have generated, and for prompts; recomputing is free.
void World::check_charges() {
  if (!scheduler_->alive()) return;
  double most = 0.01;
  const bool given_up = place_slack_ >= cut_;
  for (const auto& [low, known] : known_) {
    const auto& prompt = known.client->expected(known.choice).prompt_tokens;
    const std::uint32_t lives = 1 + known.client->cuts() + (known.client->repeated() ? 1 : 0);
    // What an engine had generated beyond the ledger when its client left, or when the scheduler had
    // given its admission up, is paid for again.
    const double under_way = tokens_under_way + static_cast<double>(to_ms(place_slack_)) / step_ms;
    const double again = known.client->returned() || given_up ? under_way : 0;
    most += (known.generated + 0.25 * prompt + again) * lives;
  }
  const double charged = scheduler_->core().charged();
  if (charged > most) {
    violate(fmt::format("tenants were charged {}, but what they had is worth {}", charged, most));
  }
}

void World::note_crash(const ExecutorProcess& executor) {
  std::vector<mesh::RequestKey> aboard;
  bool poison = false;
  executor.core().each_run([&](const executor::Executor::RunView& run) {
    aboard.push_back(run.key);
    const auto known = known_.find(run.key.request.low);
    poison |= known != known_.end() && known->second.client->plan().poisonous;
  });
  crashed_[executor.self()] = poison;
  for (const mesh::RequestKey& key : aboard) count_crash(key, poison);
}

void World::count_crash(const mesh::RequestKey& key, bool beside_poison) {
  const auto known = known_.find(key.request.low);
  if (known == known_.end() || !crash_counted_.insert(key).second) return;
  ++known->second.crashes;
  known->second.crashes_beside_poison += beside_poison;
}

void World::check_outcomes(const Client& client) {
  const admission::GenerateRequest& request = client.plan().request;
  const auto outcomes = client.outcomes();
  std::size_t poisons = 0;
  for (const auto& one : clients_) {
    if (one->plan().poisonous) poisons += one->outcomes().size();
  }
  const bool undisturbed = tally_.faults == 0 && poisons == 0;
  if (undisturbed && !client.returned() && client.epochs() > outcomes.size()) {
    violate(short_name(request.id) + " was moved although nothing had happened");
  }
  for (std::uint32_t choice = 0; choice < outcomes.size(); ++choice) {
    const std::string& outcome = outcomes[choice];
    const Known& known = known_.at(request.id.low + choice);
    const std::uint32_t crashes = known.crashes;
    // One may be of a life whose end was not known yet when it was placed there, or before it arrived.
    if (outcome == "failed poison" && crashes + 1 < poison_crashes) {
      violate(fmt::format("{} failed as poison after {} crashes", short_name(request.id), crashes));
    } else if (outcome == "failed poison" && !client.plan().poisonous &&
               known.crashes_beside_poison == crashes) {
      violate(short_name(request.id) + " failed as poison only for having been beside one");
    } else if (outcome == "timeout" && request.timeout_ms == 0) {
      violate(short_name(request.id) + " ran out of a time that it was not given");
    } else if (outcome.starts_with("failed ") && outcome != "failed poison" &&
               outcome != "failed no_executor" && outcome != "failed client_too_slow" &&
               outcome != "failed shutting_down") {
      violate(fmt::format("{} {}", short_name(request.id), outcome));
    }
  }
}

// What the scheduler and the monitor believe of a living process.
void World::expect_known(const Process& process) {
  const mesh::Member* member = monitor_->core().fleet().find(process.name());
  if (member == nullptr || member->self != process.self()) {
    violate(process.name() + " lives, and the monitor does not know this life of it");
  }
}

// When everybody has an answer and parked requests have run out, nothing may be held for them.
void World::expect_calm() {
  const TimePoint calm = std::max(timeline_.now(), disturbed_until_) +
                         std::max({silence_, lease_, stall_ * 2}) + park_ + retain_ +
                         milliseconds(500);
  while (violation_.empty() && timeline_.step(calm)) {
    if (timeline_.now() >= next_check_) check_claims();
  }
  if (!violation_.empty()) return;
  for (const Process* process : {static_cast<const Process*>(scheduler_.get()),
                                 static_cast<const Process*>(monitor_.get()),
                                 static_cast<const Process*>(cache_.get())}) {
    expect_known(*process);
  }
  for (const auto& executor : executors_) {
    if (!executor->alive()) continue;
    expect_known(*executor);
    const auto load = executor->load();
    std::size_t runs = 0;
    executor->core().each_run([&](const auto&) { ++runs; });
    if (load.slots_used != 0 || load.blocks_used != 0 || runs != 0) {
      violate(fmt::format("{} still holds {} slots, {} blocks and {} runs", executor->name(),
                          load.slots_used, load.blocks_used, runs));
    }
  }
  for (const auto& admission : admissions_) {
    expect_known(*admission);
    const auto audit = nlohmann::json::parse(admission->core().audit());
    if (!audit["balanced"].get<bool>()) violate(admission->name() + " does not balance");
    if (const auto open = admission->core().readiness(admission->now()).open_requests; open != 0) {
      violate(fmt::format("{} still has {} open requests", admission->name(), open));
    }
    if (const auto all = admission->core().requests().all().size(); all != 0) {
      violate(fmt::format("{} still keeps {} requests", admission->name(), all));
    }
    if (const auto all = admission->journal().size(); all != 0) {
      violate(fmt::format("the journal of {} still has {} requests", admission->name(), all));
    }
  }
  const auto audit = nlohmann::json::parse(scheduler_->core().audit_json(scheduler_->now()));
  if (audit["requests"] != 0 || !audit["balanced"].get<bool>()) {
    violate("the scheduler does not come to rest: " + audit.dump());
  }
}

}  // namespace aorta::sim
