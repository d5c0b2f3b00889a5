#pragma once
// A Stepper on a thread of its own. Commands go in and reports come out through bounded rings; one
// other thread, the owner, does both. The engine's thread sleeps when there is nothing to do.
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/ring.hpp"
#include "engine/engine.hpp"

namespace aorta::engine {

struct EngineThreadOptions {
  std::size_t commands = 1024;  // starts and stops not yet taken
  std::size_t reports = 64;     // turns not yet taken back; when full, the engine waits
};

// A start that the engine refused (errors: see Stepper::start).
struct StartRefused {
  SequenceKey key;
  Error error;
};

// What a turn of the engine came to: commands taken, then a step if there was work, then the
// commands that came during it.
struct EngineReport {
  StepReport step;
  std::vector<StartRefused> refused;
  EngineLoad load;            // after all of that
  std::uint64_t steps = 0;    // finished since the engine was made
  std::uint32_t step_us = 0;  // the last step's duration
};

class EngineThread {
 public:
  // `wake` is called on the engine's thread after each report: it should make the owner call
  // report() until there is none, and must not call back into this object. An exception out of the
  // stepper (or `wake`) ends the process with code 70 and a line on stderr.
  EngineThread(std::unique_ptr<Stepper> stepper, const EngineThreadOptions& options,
               std::function<void()> wake);
  // Waits for the running step, takes no further one and drops what is in the rings.
  ~EngineThread();
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  const EngineInfo& info() const { return info_; }
  const EngineLoad& idle_load() const { return idle_load_; }  // before anything was started

  // False when the ring of commands is full: try again after the next report.
  bool start(Sequence sequence);
  // Done by the end of the running step: the next report's load is without it.
  bool stop(const SequenceKey& key);
  // The next report, in order, none lost.
  std::optional<EngineReport> report();
  // A report that was read, so that its memory is used for a later one; not necessary.
  void give_back(EngineReport&& report) { spent_.push(std::move(report)); }

 private:
  struct Command {
    SequenceKey key;
    std::unique_ptr<Sequence> sequence;  // to start; null: stop
  };
  class Bell;

  bool send(Command command);
  void run();
  bool take_commands(EngineReport& report);
  void take_step(EngineReport& report);
  bool publish(EngineReport& report);
  bool closing() const { return closing_.load(std::memory_order_acquire); }

  std::unique_ptr<Stepper> stepper_;
  std::function<void()> wake_;
  EngineInfo info_;
  EngineLoad idle_load_;
  Ring<Command> commands_;
  Ring<EngineReport> reports_, spent_;
  std::unique_ptr<Bell> bell_;             // rung when the engine's thread has a reason to look
  std::atomic<bool> room_wanted_ = false;  // it sleeps until a report is taken
  std::atomic<bool> closing_ = false;
  std::uint64_t steps_ = 0;    // the engine thread's
  std::uint32_t step_us_ = 0;  // the engine thread's
  std::thread thread_;         // last: it uses all of the above
};

}  // namespace aorta::engine
