#pragma once
// An executor with a fake engine that is stepped in virtual time: a step takes a base time and a
// little for each position. The engine can stall (heartbeats go on, steps do not) and crash: from
// outside, or on a prompt that holds the poison id.
#include <memory>

#include "actors/executor/executor.hpp"
#include "actors/executor/late_store.hpp"
#include "actors/node/death.hpp"
#include "tests/sim/process.hpp"

namespace aorta::sim {

struct EngineTimes {
  Duration step = std::chrono::milliseconds(8);
  Duration position = std::chrono::microseconds(50);
  Duration load = std::chrono::milliseconds(50);  // from start to ready
};

struct EngineSetup {
  engine::FakeOptions fake;
  engine::BatchLimits limits;
  EngineTimes times;
  TokenId poison = -1;                        // of the prompt that crashes it
  std::shared_ptr<engine::BlockStore> store;  // the host's
};

class ExecutorProcess final : public Process {
 public:
  ExecutorProcess(Timeline& timeline, Network& network, std::string name,
                  executor::ExecutorOptions options, EngineSetup setup)
      : Process(timeline, network, std::move(name), mesh::ServiceKind::executor, ""),
        options_(std::move(options)),
        setup_(setup) {}

  void stall(TimePoint until) { stalled_until_ = until; }
  void crash();  // as by SIGSEGV; a kill is nobody's fault
  const executor::Executor& core() const { return *core_; }
  engine::EngineLoad load() const { return stepper_ ? stepper_->load() : engine::EngineLoad{}; }
  bool commands_under_way() const { return commands_ > 0; }
  // Why it died last: told before on_death, at every death.
  const node::Death& death() const { return death_; }

  std::function<void(ExecutorProcess&)> on_death;  // killed, crashed or left
  std::function<void(ExecutorProcess&)> on_crash;  // before it dies: it still has all on board
  std::function<void(const engine::Generated&)> on_token;
  std::function<void(const engine::StepReport&)> on_step;

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
  EngineSetup setup_;
  executor::Executor* core_ = nullptr;
  std::unique_ptr<engine::Stepper> stepper_;
  std::shared_ptr<executor::LateStore> store_;  // of this life
  TimePoint stalled_until_{};
  bool stepping_ = false, crashing_ = false;
  std::uint32_t commands_ = 0;
  std::uint64_t turns_ = 0;
  node::Death death_;
};

}  // namespace aorta::sim
