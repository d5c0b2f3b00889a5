#pragma once
// Runs the executor's core with a real engine: opens the model beside the loop, carries the core's
// commands to the engine's thread and the engine's reports back.
#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "actors/executor/executor.hpp"
#include "actors/executor/late_store.hpp"
#include "actors/shell.hpp"
#include "engine/engine.hpp"
#include "engine/engine_thread.hpp"

namespace aorta::executor {

struct EngineOptions {
  bool fake = false;  // the fake model instead of the one in `model`
  engine::FakeOptions fake_model;
  engine::ModelOptions model;  // pack_path: what is there already, else it is found out
  std::string pack_folder;     // where this executor packs when the cache does not
  engine::BatchLimits limits;
};

struct OpenedEngine {
  std::unique_ptr<engine::Stepper> stepper;
  std::uint64_t block_bytes = 0;  // of its KV; 0: none that could be shared
};

// Opens the engine; takes as long as reading and, if need be, packing the model takes.
// `pack_path`: the cache's pack; empty, or of no use: one is made in pack_folder. `store`: where
// its KV blocks outlive it.
Result<OpenedEngine> open_engine(const EngineOptions& options, const std::string& pack_path,
                                 std::shared_ptr<engine::BlockStore> store);

// Where a pack is there already, and the core knows it, the engine is opened from the beginning,
// while the rest of the process starts.
class ExecutorShell : public actors::Shell {
 public:
  ExecutorShell(actors::Host& host, std::unique_ptr<Executor> core, const EngineOptions& options);
  ~ExecutorShell() override;

 protected:
  void after_turn(TimePoint now) override;

 private:
  // A turn that does nothing once this shell is gone.
  void post_alive(std::function<void(TimePoint now, mesh::Outbox& out)> turn);
  void open(std::string pack_path);
  void opened(OpenedEngine opened, TimePoint now, mesh::Outbox& out);
  void use_store(const std::string& path);
  void carry(EngineCommand command);
  void take_reports(TimePoint now, mesh::Outbox& out);

  Executor& executor_;
  EngineOptions options_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::atomic<bool> reports_posted_ = false;
  std::uint64_t turns_ = 0;                // of the engine, also those without a step
  std::deque<engine::SequenceKey> stops_;  // that found the engine's ring full
  std::shared_ptr<LateStore> store_ = std::make_shared<LateStore>();
  std::thread opener_;
  std::unique_ptr<engine::EngineThread> engine_;  // last: it calls post()
};

}  // namespace aorta::executor
