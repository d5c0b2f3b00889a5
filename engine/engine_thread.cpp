#include "engine/engine_thread.hpp"

#include <pthread.h>
#include <unistd.h>

#include <cfenv>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>

#include "base/clock.hpp"

namespace aorta::engine {
namespace {

constexpr int exit_bug = 70;

// The step's state is unknown and its answers cannot be trusted: another process starts afresh.
[[noreturn]] void end_process(const char* what) {
  std::fprintf(stderr, "engine: an exception ended a step: %s\n", what);
  ::_exit(exit_bug);
}

}  // namespace

// Remembers that it was rung, so a ring between looking and sleeping is not lost.
class EngineThread::Bell {
 public:
  void ring() {
    {
      std::lock_guard lock(mutex_);
      rung_ = true;
    }
    condition_.notify_one();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    condition_.wait(lock, [this] { return rung_; });
    rung_ = false;
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  bool rung_ = false;
};

EngineThread::EngineThread(std::unique_ptr<Stepper> stepper, const EngineThreadOptions& options,
                           std::function<void()> wake)
    : stepper_(std::move(stepper)),
      wake_(std::move(wake)),
      info_(stepper_->info()),
      idle_load_(stepper_->load()),
      commands_(options.commands),
      reports_(options.reports),
      spent_(options.reports),
      bell_(std::make_unique<Bell>()),
      thread_([this] { run(); }) {}

EngineThread::~EngineThread() {
  closing_.store(true, std::memory_order_release);
  bell_->ring();
  thread_.join();
}

bool EngineThread::start(Sequence sequence) {
  const SequenceKey key = sequence.key;
  return send({key, std::make_unique<Sequence>(std::move(sequence))});
}

bool EngineThread::stop(const SequenceKey& key) { return send({key, nullptr}); }

bool EngineThread::send(Command command) {
  if (!commands_.push(std::move(command))) return false;
  bell_->ring();
  return true;
}

std::optional<EngineReport> EngineThread::report() {
  std::optional<EngineReport> report = reports_.pop();
  // An exchange on both sides: either this one sees that room is wanted, or the engine's comes
  // later and its next push sees the room.
  if (report && room_wanted_.exchange(false)) bell_->ring();
  return report;
}

void EngineThread::run() try {
  ::pthread_setname_np(::pthread_self(), "engine");
  std::fesetenv(FE_DFL_ENV);  // rounding and denormals as IEEE has them, whatever the owner's are
  while (!closing()) {
    EngineReport report = spent_.pop().value_or(EngineReport{});
    report.step.clear();
    report.refused.clear();
    bool worth_telling = take_commands(report);
    if (!stepper_->idle()) {
      take_step(report);
      take_commands(report);
      worth_telling = true;
    }
    if (!worth_telling) {
      bell_->wait();
    } else if (publish(report)) {
      wake_();
    }
  }
} catch (const std::exception& error) {
  end_process(error.what());
} catch (...) {
  end_process("not a std::exception");
}

bool EngineThread::take_commands(EngineReport& report) {
  bool any = false;
  while (auto command = commands_.pop()) {
    any = true;
    if (command->sequence == nullptr) {
      stepper_->stop(command->key);  // one that finished meanwhile is not here, which is as good
    } else if (auto result = stepper_->start(std::move(*command->sequence)); !result) {
      report.refused.push_back({command->key, result.error()});
    }
  }
  return any;
}

void EngineThread::take_step(EngineReport& report) {
  const TimePoint begin = now();
  stepper_->step(report.step);
  step_us_ = static_cast<std::uint32_t>((now() - begin).count());
  ++steps_;
}

// False: closing, and nobody takes reports any more.
bool EngineThread::publish(EngineReport& report) {
  report.load = stepper_->load();
  report.steps = steps_;
  report.step_us = step_us_;
  while (!reports_.push(std::move(report))) {
    room_wanted_.exchange(true);
    if (reports_.push(std::move(report))) break;
    if (closing()) return false;
    bell_->wait();
  }
  return true;
}

}  // namespace aorta::engine
