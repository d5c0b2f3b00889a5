#include "actors/executor/executor_shell.hpp"

#include <utility>

#include "base/log.hpp"
#include "engine/kv/block_store.hpp"
#include "engine/model/pack.hpp"

namespace aorta::executor {
namespace {

// What is not kept for other prompts is not shared either.
OpenedEngine engine_over(std::unique_ptr<engine::Runner> runner, const engine::BatchLimits& limits,
                         std::shared_ptr<engine::BlockStore> store) {
  const std::uint64_t block_bytes = limits.prefix_cache ? runner->kv_block(0).size() : 0;
  return {engine::make_stepper(std::move(runner), limits, std::move(store)), block_bytes};
}

}  // namespace

Result<OpenedEngine> open_engine(const EngineOptions& options, const std::string& pack_path,
                                 std::shared_ptr<engine::BlockStore> store) {
  if (options.fake) {
    return engine_over(engine::make_fake_runner(options.fake_model), options.limits,
                       std::move(store));
  }
  engine::ModelOptions model = options.model;
  model.blocks = options.limits.blocks;
  model.step_tokens = options.limits.step_tokens;
  model.pack_path = pack_path;
  if (!pack_path.empty()) {
    if (auto runner = engine::make_cpu_runner(model)) {
      return engine_over(std::move(*runner), options.limits, std::move(store));
    }
  }
  auto packed = engine::pack_model(model.gguf_path, options.pack_folder);
  if (!packed) return packed.error();
  model.pack_path = *packed;
  auto runner = engine::make_cpu_runner(model);
  if (!runner) return runner.error();
  return engine_over(std::move(*runner), options.limits, std::move(store));
}

ExecutorShell::ExecutorShell(actors::Host& host, std::unique_ptr<Executor> core,
                             const EngineOptions& options)
    : Shell(host, std::move(core), {}),
      executor_(static_cast<Executor&>(Shell::core())),
      options_(options) {
  if (!options_.model.pack_path.empty()) open(options_.model.pack_path);
}

ExecutorShell::~ExecutorShell() {
  if (opener_.joinable()) opener_.join();
}

void ExecutorShell::post_alive(std::function<void(TimePoint, mesh::Outbox&)> turn) {
  post([alive = std::weak_ptr<bool>(alive_), turn = std::move(turn)](TimePoint now,
                                                                     mesh::Outbox& out) {
    if (!alive.expired()) turn(now, out);
  });
}

void ExecutorShell::after_turn(TimePoint) {
  if (auto load = executor_.take_load_command()) open(std::move(load->pack_path));
  if (const auto path = executor_.take_store()) use_store(*path);
  while (engine_ && !stops_.empty() && engine_->stop(stops_.front())) stops_.pop_front();
  for (EngineCommand& command : executor_.take_engine_commands()) carry(std::move(command));
}

// Minutes for a large model, so never on the loop.
void ExecutorShell::open(std::string pack_path) {
  AORTA_CHECK(!opener_.joinable(), "an engine is opened once");
  opener_ = std::thread([this, pack_path = std::move(pack_path)] {
    auto engine = std::make_shared<Result<OpenedEngine>>(open_engine(options_, pack_path, store_));
    post_alive([this, engine](TimePoint now, mesh::Outbox& out) {
      if (*engine) {
        opened(std::move(**engine), now, out);
      } else {
        executor_.on_engine_failed(engine->error(), now, out);
      }
    });
  });
}

void ExecutorShell::opened(OpenedEngine opened, TimePoint now, mesh::Outbox& out) {
  auto wake = [this] {  // one turn takes all reports that are there
    if (reports_posted_.exchange(true)) return;
    post_alive(
        [this](TimePoint turn_now, mesh::Outbox& turn_out) { take_reports(turn_now, turn_out); });
  };
  engine_ = std::make_unique<engine::EngineThread>(std::move(opened.stepper),
                                                   engine::EngineThreadOptions{}, wake);
  executor_.on_engine_ready(engine_->info(), engine_->idle_load(), now, out);
  executor_.share_blocks(opened.block_bytes, now);
}

// Mapping a file is a matter of microseconds. One that is on another host is simply not there.
void ExecutorShell::use_store(const std::string& path) {
  store_->use(nullptr);
  if (path.empty()) return;
  auto store = engine::SharedBlockStore::open(path, engine_->info().numerics_id);
  if (store) {
    log::info("shares KV blocks", {{"path", path}});
    store_->use(std::move(*store));
  } else {
    log::warning("shares no KV blocks", {{"reason", store.error().message}});
  }
}

// In order: a start that follows a stop may need the slot that it frees.
void ExecutorShell::carry(EngineCommand command) {
  if (!command.start) {
    if (!stops_.empty() || !engine_->stop(command.key)) stops_.push_back(command.key);
  } else if (!stops_.empty() || !engine_->start(std::move(*command.start))) {
    post_alive([this, key = command.key](TimePoint now, mesh::Outbox& out) {
      const Error full{ErrorCode::resource_exhausted, "the engine's queue is full"};
      executor_.on_start_refused(key, full, now, out);
    });
  }
}

void ExecutorShell::take_reports(TimePoint now, mesh::Outbox& out) {
  reports_posted_.store(false);  // first: what is reported from here on posts again
  while (auto report = engine_->report()) {
    for (const engine::StartRefused& refused : report->refused) {
      executor_.on_start_refused(refused.key, refused.error, now, out);
    }
    ++turns_;
    executor_.on_engine(report->step, report->load, turns_, Duration(report->step_us), now, out);
    engine_->give_back(std::move(*report));
  }
}

}  // namespace aorta::executor
