#include "tests/sim/world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "engine/fake/fake_text_model.hpp"

namespace aorta::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* scheduler_address = "sim://scheduler";
constexpr const char* monitor_address = "sim://monitor";
constexpr const char* cache_address = "sim://cache";
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

EngineSetup engine_setup(const WorldOptions& options, Duration load, TokenId poison,
                         std::shared_ptr<engine::BlockStore> store) {
  EngineSetup setup{.fake = fake_options(), .store = std::move(store)};
  setup.times.load = load;
  setup.limits.slots = 4;
  setup.limits.step_tokens = 32;
  setup.limits.blocks = options.blocks;
  if (options.faults.poison > 0) setup.poison = poison;
  return setup;
}

std::uint32_t ms_of(Duration duration) { return static_cast<std::uint32_t>(to_ms(duration)); }

}  // namespace

void Tally::add(const Tally& other) {
  seeds += other.seeds, events += other.events, messages += other.messages;
  faults += other.faults, requests += other.requests, tokens += other.tokens;
  epochs += other.epochs, checks += other.checks, virtual_ms += other.virtual_ms;
  cached += other.cached, fetched += other.fetched;
  drafted += other.drafted, drafts_kept += other.drafts_kept;
  for (const auto& [outcome, count] : other.outcomes) outcomes[outcome] += count;
  coverage.add(other.coverage);
}

World::World(std::uint64_t seed, WorldOptions options)
    : seed_(seed),
      options_(std::move(options)),
      random_(seed),
      network_(timeline_, Random(seed ^ 0x6e6574).next(), {}),
      oracle_(fake_options(), engine::make_fake_text_model(fake_options())) {
  store_ = std::make_shared<MemoryStore>(seed ^ 0x626c6f636b73);
  draw_options();
  build();
  plan_clients();
  plan_faults();
}

World::~World() {
  // Processes that die with us tell nobody.
  for (auto& executor : executors_) executor->on_death = nullptr;
  if (node_) node_->on_death = [] {};
}

void World::draw_options() {
  constexpr double few = 0.12;
  if (random_.chance(options_.lucky)) options_.faults = options_.faults.scaled(few);
  const double hurry = random_.chance(0.1) ? 1 : options_.hurry;
  const auto sooner = [&](Duration usual) {
    return Duration(static_cast<std::int64_t>(static_cast<double>(usual.count()) / hurry));
  };
  silence_ = sooner(seconds(2));
  cut_ = silence_ / 4;
  stall_ = sooner(seconds(2));
  // Shorter than the silence after which a member is given up, too: then it is the lease that ends
  // what runs for an admission that died.
  lease_ = random_.chance(0.5) ? sooner(seconds(5)) : milliseconds(600);
  load_ = milliseconds(random_.between(10, random_.chance(0.3) ? 600 : 60));
  park_ = seconds(2);
  retain_ = seconds(3);
  Random disk(seed_ ^ 0x6469736b);
  journal_ = disk.chance(options_.journal);
  journal_write_ = milliseconds(disk.chance(0.3) ? disk.between(5, 80) : 1);
}

void World::build() {
  scheduler_ = std::make_unique<SchedulerProcess>(
      timeline_, network_, "scheduler", mesh::ServiceKind::scheduler,
      [this](const mesh::Hello& self) {
        scheduler::SchedulerOptions options;
        options.monitor_address = monitor_address;
        options.missed_beats = static_cast<std::uint32_t>(silence_ / options.beat_every);
        options.cut_beats = std::max(1u, static_cast<std::uint32_t>(cut_ / options.beat_every));
        options.executors.stall_after = stall_;
        options.executors.stall_most = stall_ * 2;
        options.executors.probation = stall_ * 3;
        return std::make_unique<scheduler::Scheduler>(self, options);
      });
  monitor_ = std::make_unique<MonitorProcess>(
      timeline_, network_, "monitor", mesh::ServiceKind::monitor, [](const mesh::Hello& self) {
        monitor::MonitorOptions options;
        options.attendance.scheduler_address = scheduler_address;
        return std::make_unique<monitor::Monitor>(self, options);
      });
  cache_ = std::make_unique<CacheProcess>(
      timeline_, network_, "cache", mesh::ServiceKind::cache, [](const mesh::Hello& self) {
        cache::CacheOptions options;
        options.attendance.scheduler_address = scheduler_address;
        options.attendance.monitor_address = monitor_address;
        options.attendance.report_every = report_every;
        return std::make_unique<cache::Cache>(self, options, std::vector<cache::PackFile>{});
      });
  for (Process* process :
       {static_cast<Process*>(scheduler_.get()), static_cast<Process*>(monitor_.get()),
        static_cast<Process*>(cache_.get())}) {
    watch(*process);
    process->boot();
  }
  for (int i = 1; i <= options_.admissions; ++i) {
    admission::AdmissionOptions options;
    options.scheduler_address = scheduler_address;
    options.monitor_address = monitor_address;
    options.default_model = model;
    options.report_every_ms = ms_of(report_every);
    options.max_wait_ms = {60'000, 60'000, 60'000};
    options.lease_ms = ms_of(lease_);
    options.park_ms = ms_of(park_);
    options.retain_ms = ms_of(retain_);
    options.journal = journal_;
    Journal journal(timeline_, Random(seed_ * 31 + static_cast<std::uint64_t>(i)), journal_write_);
    admissions_.push_back(std::make_unique<AdmissionProcess>(
        timeline_, network_, fmt::format("admission-{}", i), options, oracle_, std::move(journal)));
    watch(*admissions_.back());
    admissions_.back()->boot();
  }
  for (int i = 1; i <= options_.free_executors; ++i) {
    add_executor(fmt::format("executor-{}", i)).boot();
  }
  if (options_.managed_executors > 0) build_node();
}

void World::build_node() {
  node_ = std::make_unique<NodeProcess>(
      timeline_, network_, "node", mesh::ServiceKind::node, [this](const mesh::Hello& self) {
        node::NodeOptions options;
        options.attendance.scheduler_address = scheduler_address;
        options.attendance.monitor_address = monitor_address;
        options.attendance.report_every = report_every / 4;
        options.executors = static_cast<std::uint32_t>(options_.managed_executors);
        options.name_prefix = "child";
        options.restart.backoff_max = seconds(1);
        return std::make_unique<node::Node>(self, options);
      });
  node_->start_child = [this](const node::ChildSpec& spec) { return start_child(spec.name); };
  node_->signal_child = [this](const node::SignalChild& signal) { signal_child(signal); };
  node_->on_death = [this] { orphan_children(); };
  watch(*node_);
  node_->boot();
}

ExecutorProcess& World::add_executor(const std::string& name) {
  executor::ExecutorOptions options;
  options.scheduler_address = scheduler_address;
  options.monitor_address = monitor_address;
  options.cache_address = cache_address;
  options.gguf_path = "weights.gguf";
  options.drain_for = milliseconds(500);
  options.report_every = report_every;
  executors_.push_back(std::make_unique<ExecutorProcess>(
      timeline_, network_, name, options, engine_setup(options_, load_, poison_id, store_)));
  ExecutorProcess& executor = *executors_.back();
  executor.on_death = [this](ExecutorProcess& dead) { child_died(dead); };
  executor.on_crash = [this](ExecutorProcess& crashing) { note_crash(crashing); };
  executor.on_step = [this](const engine::StepReport& report) {
    for (const engine::Begun& begun : report.begun) tally_.cached += begun.cached_tokens;
    tally_.drafted += report.drafted;
    tally_.drafts_kept += report.drafts_kept;
  };
  executor.on_token = [this, &executor](const engine::Generated& token) {
    auto known = known_.find(token.key.request.low);
    if (known == known_.end()) return;
    std::uint32_t& generated = known->second.generated;
    generated = std::max(generated, token.index.value + 1);
    if (!cuts_.empty() && known->second.client == clients_.front().get()) {
      play(executor, token.index.value);
    }
  };
  watch(executor);
  return executor;
}

// A process under that name that does not run. Its name may have a living twin.
ExecutorProcess* World::free_seat(const std::string& name) {
  for (auto& executor : executors_) {
    if (executor->name() == name && !executor->alive()) return executor.get();
  }
  return &add_executor(name);
}

NodeProcess::Started World::start_child(const std::string& name) {
  ExecutorProcess& child = *free_seat(name);
  agents_[&child] = node_->agent_life();
  child.boot();
  const mesh::Hello& self = child.core().self();
  return {self.pid, self.self.incarnation};
}

void World::signal_child(const node::SignalChild& signal) {
  for (auto& executor : executors_) {
    if (!executor->alive() || executor->core().self().pid != signal.pid) continue;
    if (signal.signal == SIGKILL) return executor->kill();
    return executor->drain();
  }
}

// Its agent reaps it and starts it again, or whoever runs containers does.
void World::child_died(ExecutorProcess& executor) {
  const node::Death& death = executor.death();
  disturb(timeline_.now() + seconds(1));
  tell(executor.name(), fmt::format("is dead ({})", death.cause));
  if (auto agent = agents_.find(&executor); agent != agents_.end()) {
    return node_->child_exited(agent->second, executor.name(), death);
  }
  constexpr double gone_for_good = 0.12;
  if (random_.chance(gone_for_good) && options_.script.clients.empty()) return;
  if (death.exit_code != 78) restart(executor, milliseconds(20), seconds(1));
}

// The spawner notices, drains them and makes an end after 10 s.
void World::orphan_children() {
  for (auto& executor : executors_) {
    if (!executor->alive() || !agents_.contains(executor.get())) continue;
    timeline_.after(milliseconds(1), [this, child = executor.get(), self = executor->self()] {
      if (child->alive() && child->self() == self) child->drain();
    });
    timeline_.after(seconds(10), [this, child = executor.get(), self = executor->self()] {
      if (child->alive() && child->self() == self) child->kill();
    });
  }
}

void World::restart(Process& process, Duration least, Duration most) {
  timeline_.after(Duration(random_.between(least.count(), most.count())), [this, &process] {
    if (process.alive()) return;
    process.boot();
    tell(process.name(), "is started");
  });
}

bool World::everybody_ended() const {
  return std::all_of(clients_.begin(), clients_.end(), [](const auto& c) { return c->ended(); });
}

void World::run() {
  const TimePoint limit = faults_end_ + options_.patience;
  while (violation_.empty() && !(timeline_.now() >= faults_end_ && everybody_ended())) {
    if (!timeline_.step(limit)) break;
    if (!aimed_.empty()) strike_aimed();
    if (timeline_.now() >= next_check_) check_claims();
  }
  for (const auto& client : clients_) {
    if (violation_.empty() && !client->ended()) {
      violate(short_name(client->plan().request.id) + ": no end in time");
    }
    for (const std::string& outcome : client->outcomes()) {
      ++tally_.outcomes[outcome.empty() ? "none" : outcome];
    }
    tally_.tokens += client->received();
    tally_.epochs += client->epochs();
  }
  if (violation_.empty()) expect_calm();
  tally_.seeds = 1;
  tally_.fetched = store_->loads();
  tally_.events = timeline_.events();
  tally_.messages = network_.messages();
  tally_.virtual_ms = static_cast<std::uint64_t>(to_ms(timeline_.now() - Timeline::epoch));
}

}  // namespace aorta::sim
