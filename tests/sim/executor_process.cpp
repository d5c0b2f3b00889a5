#include "tests/sim/executor_process.hpp"

namespace aorta::sim {

std::unique_ptr<mesh::Service> ExecutorProcess::make_core(const mesh::Hello& hello) {
  auto core = std::make_unique<executor::Executor>(hello, options_);
  core_ = core.get();
  return core;
}

void ExecutorProcess::died() {
  stepper_.reset();
  stepping_ = false;
  stalled_until_ = {};
  turns_ = 0;
}

void ExecutorProcess::after_turn() {
  if (core_->take_load_command()) {
    timeline_.after(times_.load, [this, life = life()] {
      if (life == this->life()) open();
    });
  }
  for (const auto& command : core_->take_engine_commands()) obey(command);
}

void ExecutorProcess::open() {
  stepper_ = engine::make_stepper(engine::make_fake_runner(fake_), limits_);
  turn([this](TimePoint now, mesh::Outbox& out) {
    core_->on_engine_ready(stepper_->info(), stepper_->load(), now, out);
  });
}

// The rings between core and engine: a command takes effect a moment later, and is reported.
void ExecutorProcess::obey(const executor::EngineCommand& command) {
  timeline_.after(Duration(10), [this, life = life(), command] {
    if (life != this->life()) return;
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
  if (stepping_ || stepper_->idle()) return;
  stepping_ = true;
  const auto work = times_.step + times_.position * stepper_->load().slots_used;
  const TimePoint begin = std::max(timeline_.now(), stalled_until_);
  timeline_.at(begin + work, [this, life = life()] {
    if (life == this->life()) step();
  });
}

void ExecutorProcess::step() {
  stepping_ = false;
  if (paused() || timeline_.now() < stalled_until_) {  // SIGSTOP stops the engine's thread too
    stepping_ = true;
    return timeline_.after(times_.step, [this, life = life()] {
      if (life == this->life()) step();
    });
  }
  auto report = stepper_->step();
  turn([this, report = std::move(report), load = stepper_->load(), turns = ++turns_,
        took = times_.step](TimePoint now, mesh::Outbox& out) {
    core_->on_engine(report, load, turns, took, now, out);
  });
  schedule_step();
}

}  // namespace aorta::sim
