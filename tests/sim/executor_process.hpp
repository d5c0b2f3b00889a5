#pragma once
// An executor with a fake engine that is stepped in virtual time: a step takes a base time and a
// little for each position; it can stall (heartbeats go on, steps do not).
#include <memory>

#include "actors/executor/executor.hpp"
#include "tests/sim/process.hpp"

namespace aorta::sim {

struct EngineTimes {
  Duration step = std::chrono::milliseconds(4);
  Duration position = std::chrono::microseconds(50);
  Duration load = std::chrono::milliseconds(50);  // from start to ready
};

class ExecutorProcess final : public Process {
 public:
  ExecutorProcess(Timeline& timeline, Network& network, std::string name,
                  executor::ExecutorOptions options, engine::FakeOptions fake,
                  engine::BatchLimits limits, EngineTimes times)
      : Process(timeline, network, std::move(name), mesh::ServiceKind::executor, ""),
        options_(std::move(options)),
        fake_(fake),
        limits_(limits),
        times_(times) {}

  void stall(TimePoint until) { stalled_until_ = until; }
  const executor::Executor& core() const { return *core_; }
  engine::EngineLoad load() const { return stepper_ ? stepper_->load() : engine::EngineLoad{}; }

 protected:
  std::unique_ptr<mesh::Service> make_core(const mesh::Hello& hello) override;
  void after_turn() override;
  void died() override;

 private:
  void open();
  void obey(const executor::EngineCommand& command);
  void schedule_step();
  void step();

  executor::ExecutorOptions options_;
  engine::FakeOptions fake_;
  engine::BatchLimits limits_;
  EngineTimes times_;
  executor::Executor* core_ = nullptr;
  std::unique_ptr<engine::Stepper> stepper_;
  TimePoint stalled_until_{};
  bool stepping_ = false;
  std::uint64_t turns_ = 0;
};

}  // namespace aorta::sim
