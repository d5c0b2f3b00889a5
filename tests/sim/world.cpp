#include "tests/sim/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/fake/fake_text_model.hpp"

namespace aorta::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* scheduler_address = "sim://scheduler";
constexpr const char* monitor_address = "sim://monitor";
constexpr const char* model = "fake";
// Figures say nothing of what is simulated, and writing them takes as long as all the rest.
constexpr seconds report_every{10};

engine::FakeOptions fake_options() {
  engine::FakeOptions options;
  options.context_tokens = 1024;
  options.stop_one_in = 200;
  options.thinking_tokens = 20;
  return options;
}

engine::BatchLimits batch_limits() {
  engine::BatchLimits limits;
  limits.slots = 4;
  limits.step_tokens = 48;
  limits.blocks = 80;  // of 4 × 64 that the context could take: preemption is common
  return limits;
}

}  // namespace

World::World(std::uint64_t seed, WorldOptions options)
    : options_(options),
      random_(seed),
      network_(timeline_, random_, {}),
      oracle_(fake_options(), engine::make_fake_text_model(fake_options())) {
  build();
  plan_clients();
  plan_faults();
}

World::~World() = default;

void World::tell(const std::string& line) const {
  if (!options_.trace) return;
  fmt::print(
      "{:9.3f} ms  {}\n",
      static_cast<double>((timeline_.now() - TimePoint(std::chrono::hours(1))).count()) / 1e3,
      line);
}

void World::violate(const std::string& what) {
  if (violation_.empty()) violation_ = what;
  tell("VIOLATION " + what);
}

void World::build() {
  scheduler_ = std::make_unique<CoreProcess<scheduler::Scheduler>>(
      timeline_, network_, "scheduler", mesh::ServiceKind::scheduler, [](const mesh::Hello& self) {
        scheduler::SchedulerOptions options;
        options.monitor_address = monitor_address;
        return std::make_unique<scheduler::Scheduler>(self, options);
      });
  scheduler_->boot();
  monitor_ = std::make_unique<CoreProcess<monitor::Monitor>>(
      timeline_, network_, "monitor", mesh::ServiceKind::monitor, [](const mesh::Hello& self) {
        monitor::MonitorOptions options;
        options.attendance.scheduler_address = scheduler_address;
        return std::make_unique<monitor::Monitor>(self, options);
      });
  monitor_->boot();
  for (int i = 1; i <= options_.admissions; ++i) {
    admission::AdmissionOptions options;
    options.scheduler_address = scheduler_address;
    options.monitor_address = monitor_address;
    options.default_model = model;
    options.report_every_ms = milliseconds(report_every).count();
    options.max_wait_ms = {60'000, 60'000, 60'000};
    admissions_.push_back(std::make_unique<AdmissionProcess>(
        timeline_, network_, fmt::format("admission-{}", i), options, oracle_));
    admissions_.back()->boot();
  }
  for (int i = 1; i <= options_.executors; ++i) add_executor(fmt::format("executor-{}", i));
}

void World::add_executor(const std::string& name) {
  executor::ExecutorOptions options;
  options.scheduler_address = scheduler_address;
  options.monitor_address = monitor_address;
  options.drain_for = milliseconds(500);
  options.report_every = report_every;
  auto fake = fake_options();
  executors_.push_back(std::make_unique<ExecutorProcess>(timeline_, network_, name, options, fake,
                                                         batch_limits(), EngineTimes{}));
  ExecutorProcess& executor = *executors_.back();
  executor.on_exit = [this](Process& process) {
    tell(fmt::format("{} left with {}", process.name(), *process.exit_code()));
    if (*process.exit_code() != 78) restart(process, milliseconds(10), milliseconds(300));
  };
  executor.boot();
}

ClientPlan World::make_plan(int number) {
  using Habit = ClientPlan::Habit;
  ClientPlan plan;
  const std::int64_t kind = random_.between(0, 9);
  plan.habit = kind < 5   ? Habit::reads
               : kind < 6 ? Habit::cancels
               : kind < 7 ? Habit::dawdles
               : kind < 8 ? Habit::resumes
               : kind < 9 ? Habit::vanishes
                          : Habit::repeats;
  plan.after_tokens = static_cast<std::uint32_t>(random_.between(0, options_.max_tokens / 2));
  plan.pause = Duration(random_.between(1000, 3'000'000));

  admission::GenerateRequest& request = plan.request;
  request.id = {random_.next(), random_.next()};
  request.tenant = random_.chance(0.5) ? "blue" : "red";
  request.tier = static_cast<mesh::Tier>(random_.chance(0.1) ? 0 : random_.between(1, 2));
  const std::int64_t prompt =
      random_.chance(0.2) ? random_.between(1, 400) : random_.between(1, 60);
  for (std::int64_t i = 0; i < prompt; ++i) {
    request.prompt_ids.push_back(static_cast<TokenId>(random_.between(1, 255)));
  }
  if (random_.chance(0.3)) {  // a chat: its answer begins with thinking
    request.messages = {{"user", {request.prompt_ids.begin(), request.prompt_ids.end()}}};
    request.prompt_ids.clear();
  }
  request.max_tokens = static_cast<std::uint32_t>(random_.between(1, options_.max_tokens));
  request.ignore_eos = random_.chance(0.3);
  request.sampling.temperature = random_.chance(0.3) ? 0.0f : 0.9f;
  request.sampling.seed = random_.next();
  if (random_.chance(0.25)) request.choices = static_cast<std::uint32_t>(random_.between(2, 3));
  if (random_.chance(0.2)) request.top_logprobs = static_cast<std::uint32_t>(random_.between(0, 3));
  if (random_.chance(0.3)) request.stop = {"e", "zz"};
  if (plan.habit == Habit::resumes) {
    request.on_disconnect =
        random_.chance(0.5) ? admission::OnDisconnect::park : admission::OnDisconnect::finish;
  }
  if (plan.habit == Habit::repeats) {
    request.idempotency_key = fmt::format("key-{}", number);
    request.body_digest = request.idempotency_key;
  }
  return plan;
}

void World::plan_clients() {
  for (int i = 0; i < options_.clients; ++i) {
    auto& admission = *admissions_[static_cast<std::size_t>(
        random_.between(0, static_cast<std::int64_t>(admissions_.size()) - 1))];
    clients_.push_back(std::make_unique<Client>(timeline_, admission, oracle_, make_plan(i)));
    const auto arrival = Duration(random_.between(500'000, 500'000 + options_.arrivals.count()));
    timeline_.after(arrival, [client = clients_.back().get()] { client->begin(); });
  }
}

ExecutorProcess& World::any_executor() {
  const auto last = static_cast<std::int64_t>(executors_.size()) - 1;
  return *executors_[static_cast<std::size_t>(random_.between(0, last))];
}

void World::restart(Process& process, Duration least, Duration most) {
  timeline_.after(Duration(random_.between(least.count(), most.count())), [this, &process] {
    if (process.alive()) return;
    tell("start " + process.name());
    process.boot();
  });
}

// Draws how many strikes there are and when; `strike` does one.
void World::plan_fault(const char* kind, double expected, std::function<void()> strike) {
  auto count = static_cast<int>(expected);
  if (random_.chance(expected - count)) ++count;
  for (int i = 0; i < count; ++i) {
    const auto when = Duration(random_.between(500'000, 500'000 + options_.faults_for.count()));
    timeline_.after(when, [this, kind, strike] {
      ++tally_.faults;
      ++tally_.kinds[kind];
      strike();
    });
  }
}

void World::plan_faults() {
  faults_end_ = timeline_.now() + milliseconds(500) + options_.faults_for;
  const Faults& faults = options_.faults;
  const auto kill = [this](Process& process, Duration most) {
    tell("kill " + process.name());
    process.kill();
    restart(process, milliseconds(20), most);
  };
  const auto until = [this](std::int64_t most_ms) {
    return timeline_.now() + milliseconds(random_.between(10, most_ms));
  };
  plan_fault("executor killed", faults.executor_kills,
             [=, this] { kill(any_executor(), seconds(3)); });
  plan_fault("all executors killed", faults.all_executors_killed, [=, this] {
    for (auto& executor : executors_) kill(*executor, milliseconds(500));
  });
  plan_fault("executor paused", faults.executor_pauses, [=, this] {
    auto& executor = any_executor();
    tell("pause " + executor.name());
    executor.pause(until(4000));
  });
  plan_fault("executor stalled", faults.executor_stalls, [=, this] {
    auto& executor = any_executor();
    tell("stall " + executor.name());
    executor.stall(until(6000));
  });
  plan_fault("executor drained", faults.executor_drains, [=, this] {
    auto& executor = any_executor();
    tell("drain " + executor.name());
    executor.drain();
  });
  plan_fault("executor's name taken", faults.twins, [=, this] {
    const std::string name = any_executor().name();
    tell("a second " + name);
    add_executor(name);
  });
  plan_fault("scheduler killed", faults.scheduler_kills,
             [=, this] { kill(*scheduler_, milliseconds(1500)); });
  plan_fault("monitor killed", faults.monitor_kills,
             [=, this] { kill(*monitor_, milliseconds(1500)); });
  plan_fault("scheduler paused", faults.scheduler_pauses, [=, this] {
    tell("pause scheduler");
    scheduler_->pause(until(2500));
  });
  const auto cut = [=, this](TimePoint healed) {
    const std::string executor = any_executor().name();
    const bool to_scheduler = random_.chance(0.4);
    const std::string binder = to_scheduler ? "scheduler" : admissions_.front()->name();
    tell(
        fmt::format("cut {} from {} for {} ms", executor, binder, to_ms(healed - timeline_.now())));
    network_.partition(executor, binder, healed);
  };
  plan_fault("disconnected", faults.disconnects, [=, this] { cut(timeline_.now()); });
  plan_fault("partitioned", faults.partitions, [=, this] { cut(until(5000)); });
  plan_fault("admission disconnected", faults.disconnects / 2, [this] {
    tell("cut admission-1 from scheduler");
    network_.disconnect("admission-1", "scheduler");
  });
}

bool World::everybody_ended() const {
  return std::all_of(clients_.begin(), clients_.end(), [](const auto& c) { return c->ended(); });
}

void World::run() {
  const TimePoint limit = faults_end_ + options_.patience;
  while (violation_.empty() && !(timeline_.now() >= faults_end_ && everybody_ended())) {
    if (!timeline_.step(limit)) break;
    for (const auto& client : clients_) {
      if (!client->violation().empty()) violate(client->violation());
    }
  }
  for (const auto& client : clients_) {
    if (!client->ended()) violate(client->plan().request.id.to_string() + ": no end in time");
    for (const std::string& outcome : client->outcomes()) {
      ++tally_.outcomes[outcome.empty() ? "none" : outcome];
    }
    tally_.tokens += client->received();
    tally_.epochs += client->epochs();
  }
  if (violation_.empty()) expect_calm();
  tally_.events = timeline_.events();
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
  const TimePoint calm = timeline_.now() + seconds(75);
  while (timeline_.step(calm)) continue;
  expect_known(*scheduler_);
  expect_known(*monitor_);
  for (const auto& executor : executors_) {
    if (!executor->alive()) continue;
    expect_known(*executor);
    const auto load = executor->load();
    const auto audit = nlohmann::json::parse(executor->core().audit_json(timeline_.now()));
    tell(fmt::format("{} {}", executor->name(), audit.dump()));
    if (load.slots_used != 0 || load.blocks_used != 0 || !audit["runs"].empty()) {
      violate(fmt::format("{} still holds {} slots, {} blocks and {} runs", executor->name(),
                          load.slots_used, load.blocks_used, audit["runs"].size()));
    }
  }
  for (const auto& admission : admissions_) {
    expect_known(*admission);
    const auto audit = nlohmann::json::parse(admission->core().audit());
    tell(fmt::format("{} {}", admission->name(), audit.dump()));
    if (!audit["balanced"].get<bool>()) violate(admission->name() + " does not balance");
    if (const auto open = admission->core().readiness(timeline_.now()).open_requests; open != 0) {
      violate(fmt::format("{} still has {} open requests", admission->name(), open));
    }
  }
  const auto audit = nlohmann::json::parse(scheduler_->core().audit_json(timeline_.now()));
  tell("scheduler " + audit.dump());
  if (audit["requests"] != 0) violate("the scheduler still knows a request: " + audit.dump());
}

}  // namespace aorta::sim
