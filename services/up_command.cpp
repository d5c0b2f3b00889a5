// `aorta up`: a whole mesh on this machine. This process becomes the node agent and runs every
// other service as a child, or, with --one-process, runs all of them itself.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "actors/node/spawner.hpp"
#include "base/log.hpp"
#include "services/commands.hpp"
#include "services/composition.hpp"
#include "services/exposure.hpp"
#include "services/key_files.hpp"
#include "services/packing.hpp"
#include "services/state_lock.hpp"

namespace aorta::services {
namespace {

using mesh::ServiceKind;

struct UpOptions {
  Invocation invocation;
  bool one_process = false;
  int ready_fd = -1;  // gets a line when the mesh can answer
};

void announce(const Config& config, int ready_fd) {
  const std::uint32_t base = config.mesh.port_base;
  const std::string port =
      base == Config{}.mesh.port_base ? "" : fmt::format(" --port-base {}", base);
  fmt::print(
      "The mesh is ready, serving {}.\n"
      "  HTTP     {}://{}:{}/v1/chat/completions\n"
      "  ZeroMQ   tcp://{}:{}\n"
      "  metrics  http://{}:{}/metrics\n"
      "  logs     {}\n"
      "Try next, in another terminal:\n"
      "  aorta ask{} \"Why is the sky blue?\"\n"
      "  aorta scale{} executors=4\n"
      "  aorta ps{}    and kill -9 an executor while it answers\n",
      model_of(config).id, config.http.tls_certificate.empty() ? "http" : "https", config.http.bind,
      base, config.zmq.bind, base + 1, config.monitor.bind, base + 2, log_folder(config), port,
      port, port);
  std::fflush(stdout);
  if (ready_fd < 0) return;
  (void)!::write(ready_fd, "ready\n", 6);
  ::close(ready_fd);
}

int run_children(const Config& config, const UpOptions& options) {
  // Before any thread or ZeroMQ context: only the spawner forks from here on.
  auto spawner = node::Spawner::fork(
      {.orphan_patience = std::chrono::milliseconds(config.node.orphan_drain_ms)});
  if (!spawner) return report(spawner.error());
  Composition composition(config, false);
  Composition::Children children;
  children.fixed = {ServiceKind::admission, ServiceKind::scheduler, ServiceKind::cache,
                    ServiceKind::monitor};
  children.arguments = options.invocation.arguments();
  children.on_whole = [&] { announce(config, options.ready_fd); };
  if (auto added = composition.add_node("node", draw_incarnation(), *spawner, std::move(children));
      !added) {
    return report_cannot_start(added.error());
  }
  return composition.run([&] { return load_config(options.invocation); });
}

int run_in_one(const Config& config, const UpOptions& options) {
  Composition composition(config, true);
  std::vector<std::pair<ServiceKind, std::string>> services = {
      {ServiceKind::scheduler, "scheduler"},
      {ServiceKind::monitor, "monitor"},
      {ServiceKind::cache, "cache"}};
  const std::string prefix = config.node.name_prefix.empty() ? "executor" : config.node.name_prefix;
  for (std::uint32_t i = 1; i <= config.node.executors; ++i) {
    services.emplace_back(ServiceKind::executor, fmt::format("{}-{}", prefix, i));
  }
  // Last: it reads the vocabulary while the engines are opened.
  services.emplace_back(ServiceKind::admission, "admission");
  for (const auto& [kind, name] : services) {
    if (auto added = composition.add(kind, name, draw_incarnation()); !added) {
      return report_cannot_start(added.error());
    }
  }
  composition.when_ready([&] { announce(config, options.ready_fd); });
  return composition.run([&] { return load_config(options.invocation); });
}

// The cache would pack it, too, but nobody would see how far it is.
Result<void> pack_before_eyes(const Config& config) {
  const Model model = model_of(config);
  if (model.fake_engine || !is_looked_on()) return {};
  const std::string folder = pack_folder(config);
  if (auto made = make_private_folder(folder); !made) return made;
  const auto packed = pack_with_bar(model.path, folder);
  return packed ? Result<void>() : packed.error();
}

int up(const UpOptions& options) {
  ignore_hup_until_handled();
  auto config = load_config(options.invocation);
  if (!config) return report_bad_configuration(config.error());
  if (auto checked = check_exposure(*config); !checked) {
    return report_bad_configuration(checked.error());
  }
  if (auto tls = load_tls(*config); !tls) return report_bad_configuration(tls.error());
  if (auto model = check_model(model_of(*config), pack_folder(*config)); !model) {
    return report_cannot_start(model.error());
  }
  for (const std::string& folder : {state_folder(*config), log_folder(*config)}) {
    if (auto made = make_private_folder(folder); !made) return report(made.error());
  }
  auto lock = StateLock::take(state_folder(*config));
  if (!lock) return report(lock.error());
  if (auto packed = pack_before_eyes(*config); !packed) return report(packed.error());
  log::init({.level = *log::parse_level(config->log.level),
             .format = config->log.format == "json" ? log::Format::json : log::Format::text,
             .service = options.one_process ? "aorta" : "node"});
  return options.one_process ? run_in_one(*config, options) : run_children(*config, options);
}

}  // namespace

void add_up_command(CLI::App& app, Run& run) {
  CLI::App* command = app.add_subcommand(
      "up", "Start a mesh on this machine and stay up; Ctrl-C lets running requests finish");
  auto options = std::make_shared<UpOptions>();
  add_config_options(*command, options->invocation);
  add_setting_option(*command, options->invocation, "--executors", "node.executors",
                     "How many executors to start with");
  add_setting_option(*command, options->invocation, "--model", "model.path",
                     "GGUF file, directory with config.json and safetensors, or fake for an engine "
                     "without weights");
  command->add_flag("--one-process", options->one_process,
                    "Everything in this process: simplest, but nothing can be scaled or restarted");
  command->add_option("--ready-fd", options->ready_fd,
                      "Write a line to this file descriptor when the mesh can answer");
  command->footer(
      "Examples:\n  aorta up --executors 4\n  aorta up --model ~/models/llama.gguf --port-base "
      "9000\n"
      "  aorta up --config my.yaml --set engine.threads=2");
  command->callback([&run, options] { run = [options] { return up(*options); }; });
}

}  // namespace aorta::services
