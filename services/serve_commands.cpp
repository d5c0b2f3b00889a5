// `aorta serve KIND`: one service in this process, as containers and the node agent run it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "actors/monitor/fleet.hpp"
#include "actors/node/spawner.hpp"
#include "base/log.hpp"
#include "mesh/routing_id.hpp"
#include "services/commands.hpp"
#include "services/composition.hpp"
#include "services/exposure.hpp"
#include "services/key_files.hpp"

namespace aorta::services {
namespace {

using mesh::ServiceKind;
using monitor::name_of;

constexpr const char* node_runs[] = {"scheduler", "monitor", "cache", "admission", "executor"};

struct ServeOptions {
  Invocation invocation;
  std::string name;
  std::uint64_t incarnation = 0;             // given by a node agent
  std::vector<std::string> run{"executor"};  // by a node agent
};

// Part of a name: its end, where generated host names differ, so that the name keeps to 64.
std::string host_part() {
  constexpr std::size_t longest = 48;
  const std::string host = host_name();
  return host.size() > longest ? host.substr(host.size() - longest) : host;
}

// Unique in the mesh as long as host names are: containers have one each.
std::string executor_prefix(const Config& config) {
  return config.node.name_prefix.empty() ? "executor-" + host_part() : config.node.name_prefix;
}

std::string default_name(ServiceKind kind, const Config& config) {
  if (kind == ServiceKind::executor) {
    const std::string& prefix = config.node.name_prefix;
    return prefix.empty() ? executor_prefix(config) : prefix + "-" + host_part();
  }
  if (kind == ServiceKind::node) return "node-" + host_part();
  return std::string(name_of(kind));
}

bool runs(const ServeOptions& options, ServiceKind kind) {
  return std::find(options.run.begin(), options.run.end(), name_of(kind)) != options.run.end();
}

// Of this process and of what it will run.
std::vector<ServiceKind> kinds_of(ServiceKind kind, const ServeOptions& options) {
  std::vector<ServiceKind> kinds{kind};
  if (kind != ServiceKind::node) return kinds;
  for (const ServiceKind child : {ServiceKind::scheduler, ServiceKind::monitor, ServiceKind::cache,
                                  ServiceKind::admission, ServiceKind::executor}) {
    if (runs(options, child)) kinds.push_back(child);
  }
  return kinds;
}

bool needs_model(const std::vector<ServiceKind>& kinds) {
  return std::any_of(kinds.begin(), kinds.end(), [](ServiceKind kind) {
    return kind == ServiceKind::admission || kind == ServiceKind::executor;
  });
}

int serve_node(Config config, const std::string& name, Incarnation life,
               const ServeOptions& options) {
  auto spawner = node::Spawner::fork(
      {.orphan_patience = std::chrono::milliseconds(config.node.orphan_drain_ms)});
  if (!spawner) return report(spawner.error());
  config.node.name_prefix = executor_prefix(config);
  if (!runs(options, ServiceKind::executor)) config.node.executors = 0;
  Composition::Children children{.arguments = options.invocation.arguments(), .on_whole = [] {}};
  for (const ServiceKind kind : kinds_of(ServiceKind::node, options)) {
    const bool fixed = kind != ServiceKind::node && kind != ServiceKind::executor;
    if (fixed) children.fixed.push_back(kind);
  }
  Composition composition(config, false);
  if (auto added = composition.add_node(name, life, *spawner, std::move(children)); !added) {
    return report_cannot_start(added.error());
  }
  return composition.run([&] { return load_config(options.invocation); });
}

int serve_alone(ServiceKind kind, const Config& config, const std::string& name, Incarnation life,
                const ServeOptions& options) {
  Composition composition(config, false);
  if (auto added = composition.add(kind, name, life); !added) {
    log::error("cannot start", {{"reason", added.error().message}});
    return report_cannot_start(added.error());
  }
  return composition.run([&] { return load_config(options.invocation); });
}

int serve(ServiceKind kind, const ServeOptions& options) {
  ignore_hup_until_handled();
  auto config = load_config(options.invocation);
  if (!config) return report_bad_configuration(config.error());
  const std::vector<ServiceKind> kinds = kinds_of(kind, options);
  if (auto checked = check_exposure(*config, kinds); !checked) {
    return report_bad_configuration(checked.error());
  }
  // A child's is read when it starts, and again after a while when it was being replaced.
  const bool child = options.incarnation != 0;
  if (!child && std::ranges::count(kinds, ServiceKind::admission) > 0) {
    if (auto tls = load_tls(*config); !tls) return report_bad_configuration(tls.error());
  }
  const std::string name = options.name.empty() ? default_name(kind, *config) : options.name;
  if (!mesh::is_service_name(name)) {
    return report(
        {ErrorCode::invalid_argument,
         fmt::format("'{}' is no name for a service: 1 to 64 of A-Z a-z 0-9 . _ -", name)});
  }
  if (needs_model(kinds)) {
    if (auto model = check_model(model_of(*config), pack_folder(*config)); !model) {
      return report_cannot_start(model.error());
    }
  }
  for (const std::string& folder : {state_folder(*config), log_folder(*config)}) {
    if (auto made = make_private_folder(folder); !made) return report(made.error());
  }
  log::init({.level = *log::parse_level(config->log.level),
             .format = config->log.format == "json" ? log::Format::json : log::Format::text,
             .service = name,
             .warnings_to_stdout = child && config->node.child_logs == "files"});

  const Incarnation life = child ? Incarnation{options.incarnation} : draw_incarnation();
  return kind == ServiceKind::node ? serve_node(*config, name, life, options)
                                   : serve_alone(kind, *config, name, life, options);
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
      {ServiceKind::node, "Starts, drains and restarts executors and other services on this host"}};
  for (const auto& [kind, description] : kinds) {
    CLI::App* command = parent->add_subcommand(name_of(kind), description);
    auto options = std::make_shared<ServeOptions>();
    add_config_options(*command, options->invocation);
    add_setting_option(*command, options->invocation, "--model", "model.path",
                       "GGUF file, directory with safetensors, or fake");
    command->add_option("--name", options->name, "Name in the mesh; one process a name");
    command->add_option("--incarnation", options->incarnation)->group("");
    if (kind == ServiceKind::node) {
      command
          ->add_option("--run", options->run,
                       "What to run here, a list with commas; executor: as many as node.executors")
          ->delimiter(',')
          ->check(
              CLI::IsMember(std::vector<std::string>(std::begin(node_runs), std::end(node_runs))));
    }
    command->callback(
        [&run, kind = kind, options] { run = [kind, options] { return serve(kind, *options); }; });
  }
}

}  // namespace aorta::services
