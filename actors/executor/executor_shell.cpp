#include "actors/executor/executor_shell.hpp"

#include <utility>

#include "engine/model/pack.hpp"

namespace aorta::executor {

Result<std::unique_ptr<engine::Stepper>> open_engine(const EngineOptions& options,
                                                     const std::string& pack_path) {
  if (options.fake) {
    return engine::make_stepper(engine::make_fake_runner(options.fake_model), options.limits);
  }
  engine::ModelOptions model = options.model;
  model.blocks = options.limits.blocks;
  model.step_tokens = options.limits.step_tokens;
  model.pack_path = pack_path;
  if (!pack_path.empty()) {
    if (auto runner = engine::make_cpu_runner(model)) {
      return engine::make_stepper(std::move(*runner), options.limits);
    }
  }
  auto packed = engine::pack_model(model.gguf_path, options.pack_folder);
  if (!packed) return packed.error();
  model.pack_path = *packed;
  auto runner = engine::make_cpu_runner(model);
  if (!runner) return runner.error();
  return engine::make_stepper(std::move(*runner), options.limits);
}

ExecutorShell::ExecutorShell(actors::Host& host, std::unique_ptr<Executor> core,
                             const EngineOptions& options)
    : Shell(host, std::move(core), {}),
      executor_(static_cast<Executor&>(Shell::core())),
      options_(options) {}

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
  while (engine_ && !stops_.empty() && engine_->stop(stops_.front())) stops_.pop_front();
  for (EngineCommand& command : executor_.take_engine_commands()) carry(std::move(command));
}

// Minutes for a large model, so never on the loop.
void ExecutorShell::open(std::string pack_path) {
  opener_ = std::thread([this, pack_path = std::move(pack_path)] {
    auto stepper = std::make_shared<Result<std::unique_ptr<engine::Stepper>>>(
        open_engine(options_, pack_path));
    post_alive([this, stepper](TimePoint now, mesh::Outbox& out) {
      if (*stepper) {
        opened(std::move(**stepper), now, out);
      } else {
        executor_.on_engine_failed(stepper->error(), now, out);
      }
    });
  });
}

void ExecutorShell::opened(std::unique_ptr<engine::Stepper> stepper, TimePoint now,
                           mesh::Outbox& out) {
  auto wake = [this] {  // one turn takes all reports that are there
    if (reports_posted_.exchange(true)) return;
    post_alive(
        [this](TimePoint turn_now, mesh::Outbox& turn_out) { take_reports(turn_now, turn_out); });
  };
  engine_ = std::make_unique<engine::EngineThread>(std::move(stepper),
                                                   engine::EngineThreadOptions{}, wake);
  executor_.on_engine_ready(engine_->info(), engine_->idle_load(), now, out);
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
  }
}

}  // namespace aorta::executor
