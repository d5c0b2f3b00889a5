// `aorta serve KIND`: one service in this process, as containers and the node agent run it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <memory>

#include "actors/monitor/fleet.hpp"
#include "actors/node/spawner.hpp"
#include "base/log.hpp"
#include "mesh/routing_id.hpp"
#include "services/commands.hpp"
#include "services/composition.hpp"
#include "services/exposure.hpp"

namespace aorta::services {
namespace {

using mesh::ServiceKind;
using monitor::name_of;

struct ServeOptions {
  Invocation invocation;
  std::string name;
  std::uint64_t incarnation = 0;  // given by a node agent
};

std::string default_name(ServiceKind kind, const Config& config) {
  if (kind == ServiceKind::executor) return config.node.name_prefix + "-" + host_name();
  if (kind == ServiceKind::node) return "node-" + host_name();
  return std::string(name_of(kind));
}

int serve(ServiceKind kind, const ServeOptions& options) {
  ignore_hup_until_handled();
  auto config = load_config(options.invocation);
  if (!config) return report_bad_configuration(config.error());
  if (auto checked = check_exposure(*config, std::array{kind}); !checked) {
    return report_bad_configuration(checked.error());
  }
  const std::string name = options.name.empty() ? default_name(kind, *config) : options.name;
  if (!mesh::is_service_name(name)) {
    return report(
        {ErrorCode::invalid_argument,
         fmt::format("'{}' is no name for a service: 1 to 64 of A-Z a-z 0-9 . _ -", name)});
  }
  const bool needs_model = kind == ServiceKind::admission || kind == ServiceKind::executor;
  if (needs_model) {
    if (auto model = check_model(model_of(*config)); !model) {
      return report_cannot_start(model.error());
    }
  }
  for (const std::string& folder : {state_folder(*config), log_folder(*config)}) {
    if (auto made = make_private_folder(folder); !made) return report(made.error());
  }
  log::init({.level = *log::parse_level(config->log.level),
             .format = config->log.format == "json" ? log::Format::json : log::Format::text,
             .service = name,
             .warnings_to_stdout = options.incarnation != 0});

  const Incarnation life =
      options.incarnation != 0 ? Incarnation{options.incarnation} : draw_incarnation();
  if (kind == ServiceKind::node) {
    auto spawner = node::Spawner::fork(
        {.orphan_patience = std::chrono::milliseconds(config->node.orphan_drain_ms)});
    if (!spawner) return report(spawner.error());
    Composition composition(*config, false);
    if (auto added =
            composition.add_node(name, life, *spawner, {{}, options.invocation.arguments(), [] {}});
        !added) {
      return report_cannot_start(added.error());
    }
    return composition.run([&] { return load_config(options.invocation); });
  }
  Composition composition(*config, false);
  if (auto added = composition.add(kind, name, life); !added) {
    log::error("cannot start", {{"reason", added.error().message}});
    return report_cannot_start(added.error());
  }
  return composition.run([&] { return load_config(options.invocation); });
}

}  // namespace

void add_serve_commands(CLI::App& app, Run& run) {
  CLI::App* parent = app.add_subcommand(
      "serve", "Run one service in this process, as containers do; `up` runs all of them");
  parent->require_subcommand(1);
  const std::pair<ServiceKind, const char*> kinds[] = {
      {ServiceKind::admission, "Clients, ledgers, both fronts"},
      {ServiceKind::scheduler, "Queues, placement, membership"},
      {ServiceKind::executor, "An engine"},
      {ServiceKind::cache, "Packed weights of this host"},
      {ServiceKind::monitor, "Metrics, ps, scale, audit"},
      {ServiceKind::node, "Starts, drains and restarts executors on this host"}};
  for (const auto& [kind, description] : kinds) {
    CLI::App* command = parent->add_subcommand(name_of(kind), description);
    auto options = std::make_shared<ServeOptions>();
    add_config_options(*command, options->invocation);
    add_setting_option(*command, options->invocation, "--model", "model.path",
                       "GGUF file, or fake");
    command->add_option("--name", options->name, "Name in the mesh; one process a name");
    command->add_option("--incarnation", options->incarnation)->group("");
    command->callback(
        [&run, kind = kind, options] { run = [kind, options] { return serve(kind, *options); }; });
  }
}

}  // namespace aorta::services
