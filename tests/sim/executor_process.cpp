#include "tests/sim/executor_process.hpp"

#include <algorithm>
#include <csignal>

namespace aorta::sim {
namespace {

constexpr int slow_steps = 8;  // how much longer a slowed process' steps take

struct EngineCrash {};

// Throws where the fake model, in a process of its own, aborts.
class CrashingRunner final : public engine::Runner {
 public:
  CrashingRunner(const engine::FakeOptions& fake, TokenId poison)
      : runner_(engine::make_fake_runner(fake)), poison_(poison) {}
  const engine::EngineInfo& info() const override { return runner_->info(); }
  void run(std::span<const engine::RunnerRow> rows, std::span<engine::Choice> chosen) override {
    for (const engine::RunnerRow& row : rows) {
      const std::uint32_t end = std::min(row.first + row.count, row.prompt_tokens);
      if (row.first >= end) continue;
      const auto computed = row.ids.subspan(row.first, end - row.first);
      if (std::find(computed.begin(), computed.end(), poison_) != computed.end()) {
        throw EngineCrash{};
      }
    }
    runner_->run(rows, chosen);
  }
  std::span<std::byte> kv_block(std::uint32_t block) override { return runner_->kv_block(block); }

 private:
  std::unique_ptr<engine::Runner> runner_;
  TokenId poison_;
};

std::unique_ptr<engine::Runner> make_runner(const EngineSetup& setup) {
  if (setup.poison < 0) return engine::make_fake_runner(setup.fake);
  return std::make_unique<CrashingRunner>(setup.fake, setup.poison);
}

}  // namespace

std::unique_ptr<mesh::Service> ExecutorProcess::make_core(const mesh::Hello& hello) {
  auto core = std::make_unique<executor::Executor>(hello, options_);
  core_ = core.get();
  return core;
}

void ExecutorProcess::crash() {
  if (!alive()) return;
  if (on_crash) on_crash(*this);
  crashing_ = true;
  kill();
}

void ExecutorProcess::died() {
  stepper_.reset();
  store_.reset();
  stepping_ = false;
  stalled_until_ = {};
  turns_ = commands_ = 0;
  if (crashing_) {
    death_ = {-SIGSEGV, "SIGSEGV", true};
  } else if (exit_code()) {
    death_ = {*exit_code(), "exit", false};
  } else {
    death_ = {-SIGKILL, "SIGKILL", false};
  }
  crashing_ = false;
  if (on_death) on_death(*this);
}

void ExecutorProcess::after_turn() {
  if (core_->take_load_command()) {
    timeline_.after(setup_.times.load, [this, life = life()] {
      if (life == this->life()) open();
    });
  }
  if (const auto store = core_->take_store(); store && store_) {
    store_->use(store->empty() ? nullptr : setup_.store);
  }
  for (const auto& command : core_->take_engine_commands()) obey(command);
}

void ExecutorProcess::open() {
  auto runner = make_runner(setup_);
  const std::uint64_t block_bytes = runner->kv_block(0).size();
  store_ = std::make_shared<executor::LateStore>();
  stepper_ = engine::make_stepper(std::move(runner), setup_.limits, store_);
  turn([this, block_bytes](TimePoint now, mesh::Outbox& out) {
    core_->on_engine_ready(stepper_->info(), stepper_->load(), now, out);
    core_->share_blocks(block_bytes, now);
  });
}

// The rings between core and engine: a command takes effect a moment later, and is reported.
void ExecutorProcess::obey(const executor::EngineCommand& command) {
  ++commands_;
  timeline_.after(Duration(10), [this, life = life(), command] {
    if (life != this->life()) return;
    --commands_;
    if (!command.start) {
      stepper_->stop(command.key);
    } else if (auto started = stepper_->start(*command.start); !started) {
      turn([this, key = command.key, error = started.error()](TimePoint now, mesh::Outbox& out) {
        core_->on_start_refused(key, error, now, out);
      });
    }
    turn([this, load = stepper_->load(), turns = ++turns_](TimePoint now, mesh::Outbox& out) {
      core_->on_engine({}, load, turns, {}, now, out);
    });
    schedule_step();
  });
}

void ExecutorProcess::schedule_step() {
  if (stepping_ || !stepper_ || stepper_->idle()) return;
  stepping_ = true;
  auto work = setup_.times.step + setup_.times.position * stepper_->load().slots_used;
  if (slowed()) work *= slow_steps;
  const TimePoint begin = std::max(timeline_.now(), stalled_until_);
  timeline_.at(begin + work, [this, life = life()] {
    if (life == this->life()) step();
  });
}

void ExecutorProcess::step() {
  stepping_ = false;
  if (paused() || timeline_.now() < stalled_until_) {  // SIGSTOP stops the engine's thread too
    stepping_ = true;
    return timeline_.after(setup_.times.step, [this, life = life()] {
      if (life == this->life()) step();
    });
  }
  engine::StepReport report;
  try {
    report = stepper_->step();
  } catch (const EngineCrash&) {
    return crash();
  }
  if (on_step) on_step(report);
  if (on_token) {
    for (const engine::Generated& token : report.tokens) on_token(token);
  }
  const std::uint64_t life = this->life();
  turn([this, report = std::move(report), load = stepper_->load(), turns = ++turns_,
        took = setup_.times.step](TimePoint now, mesh::Outbox& out) {
    core_->on_engine(report, load, turns, took, now, out);
  });
  if (life == this->life()) schedule_step();
}

}  // namespace aorta::sim
