// Commands that ask the monitor of a running mesh: ps, scale, drain, audit, health; and down.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "mesh/client_socket.hpp"
#include "mesh/endpoint.hpp"
#include "services/audit_text.hpp"
#include "services/commands.hpp"
#include "services/key_files.hpp"
#include "services/state_lock.hpp"

namespace aorta::services {
namespace {

using mesh::ServiceKind;

struct ControlOptions {
  Invocation invocation;
  bool json = false;
  std::string argument;
  double wait_s = 0;
};

// `--wait` travels with the argument; the monitor answers when it is so, or when it is too late.
Result<mesh::ControlReply> ask_monitor(const ControlOptions& options, const std::string& verb,
                                       const std::string& argument) {
  auto config = load_config(options.invocation);
  if (!config) return config.error();
  const std::string endpoint =
      dial_endpoint(*config, reach_of(*config, false), ServiceKind::monitor, "monitor");
  const auto wait_ms = static_cast<std::int64_t>(options.wait_s * 1000);
  mesh::ControlCall call{.endpoint = endpoint, .verb = verb, .argument = argument};
  if (wait_ms > 0) call.argument += fmt::format(" wait_ms={}", wait_ms);
  call.timeout = std::chrono::milliseconds(config->monitor.audit_ms + 3000 + wait_ms);
  call.if_absent = wait_ms > 0 ? mesh::IfAbsent::wait : mesh::IfAbsent::fail;
  if (mesh::is_tcp(endpoint)) {
    auto keys = load_mesh_keys(*config, ServiceKind::tool);
    if (!keys) return keys.error();
    if (*keys) call.curve = (*keys)->to("monitor");
  }
  auto reply = mesh::call_control(call);
  if (reply || reply.error().code != ErrorCode::unavailable) return reply;
  return Error{ErrorCode::not_found,
               fmt::format("no mesh answers at {}: start one with `aorta up`, or name it with "
                           "--port-base{}",
                           endpoint, call.curve ? "; or it has other keys than these" : "")};
}

int print_reply(const Result<mesh::ControlReply>& reply) {
  if (!reply) return report(reply.error());
  fmt::print(reply->exit_code == exit_done ? stdout : stderr, "{}\n", reply->text);
  return reply->exit_code;
}

int ps(const ControlOptions& options) {
  auto reply = ask_monitor(options, "ps", "");
  if (!reply || options.json || reply->exit_code != exit_done) return print_reply(reply);
  const auto services = nlohmann::json::parse(reply->text);
  fmt::print("{:<10} {:<16} {:>8}  {:<9} {}\n", "SERVICE", "NAME", "PID", "STATE", "ADDRESSES");
  for (const auto& service : services) {
    std::string addresses;
    for (const auto& address : service["addresses"]) {
      addresses += (addresses.empty() ? "" : " ") + address.get<std::string>();
    }
    fmt::print("{:<10} {:<16} {:>8}  {:<9} {}\n", service["service"].get<std::string>(),
               service["name"].get<std::string>(), service["pid"].get<std::uint64_t>(),
               service["state"].get<std::string>(), addresses);
  }
  return exit_done;
}

int audit(const ControlOptions& options) {
  auto reply = ask_monitor(options, "audit", "");
  if (!reply || options.json) return print_reply(reply);
  const auto parsed = nlohmann::json::parse(reply->text, nullptr, false);
  if (!parsed.is_object()) return print_reply(reply);
  fmt::print("{}", audit_text(parsed));
  return reply->exit_code;
}

int scale(const ControlOptions& options) {
  constexpr std::string_view prefix = "executors=";
  if (!options.argument.starts_with(prefix)) {
    return report(
        {ErrorCode::invalid_argument,
         fmt::format("'{}' cannot be scaled: say `aorta scale executors=N`", options.argument)});
  }
  const std::string number = options.argument.substr(prefix.size());
  if (number.empty() || number.find_first_not_of("0123456789") != std::string::npos) {
    return report(
        {ErrorCode::invalid_argument, fmt::format("'{}' is no number of executors", number)});
  }
  return print_reply(ask_monitor(options, "scale", number));
}

int down(const ControlOptions& options) {
  auto config = load_config(options.invocation);
  if (!config) return report_bad_configuration(config.error());
  const int pid = holder_of(state_folder(*config));
  if (pid <= 0) {
    return report(
        {ErrorCode::not_found, fmt::format("no mesh is up in {}", state_folder(*config))});
  }
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (process < 0 || ::kill(pid, SIGTERM) != 0) {
    return report({ErrorCode::io, fmt::format("cannot stop process {}", pid)});
  }
  fmt::print("process {} drains and leaves\n", pid);
  std::fflush(stdout);
  pollfd gone{process, POLLIN, 0};
  const int ready = ::poll(&gone, 1, static_cast<int>(config->drain.drain_s + 10) * 1000);
  ::close(process);
  return ready == 1 ? exit_done : exit_try_again;
}

using Action = int (*)(const ControlOptions&);

CLI::App* add(CLI::App& app, Run& run, const char* name, const char* description,
              std::shared_ptr<ControlOptions> options, Action action) {
  CLI::App* command = app.add_subcommand(name, description);
  add_config_options(*command, options->invocation);
  command->callback(
      [&run, options, action] { run = [options, action] { return action(*options); }; });
  return command;
}

void add_wait(CLI::App& command, ControlOptions& options) {
  command.add_option("--wait", options.wait_s, "Seconds to wait until it is so")
      ->check(CLI::Range(0.0, 3600.0));
}

}  // namespace

void add_control_commands(CLI::App& app, Run& run) {
  auto options = std::make_shared<ControlOptions>();
  add(app, run, "ps", "List the mesh's services, their pids and states", options, ps)
      ->add_flag("--json", options->json, "As a list of objects");

  options = std::make_shared<ControlOptions>();
  CLI::App* command = add(app, run, "scale",
                          "Change how many executors run: `scale executors=4`; those that leave "
                          "drain first, no request fails",
                          options, scale);
  command->add_option("WHAT", options->argument, "executors=N")->required();
  add_wait(*command, *options);

  options = std::make_shared<ControlOptions>();
  command =
      add(app, run, "drain", "Let one executor finish and leave; the mesh then wants one fewer",
          options,
          [](const ControlOptions& o) { return print_reply(ask_monitor(o, "drain", o.argument)); });
  command->add_option("EXECUTOR", options->argument, "Its name, as in `aorta ps`")->required();
  add_wait(*command, *options);

  options = std::make_shared<ControlOptions>();
  add(app, run, "audit",
      "Compare what was accepted, ended and is still held in the whole mesh; exit 0 when it "
      "balances",
      options, audit)
      ->add_flag("--json", options->json, "As an object, every recent request included");

  options = std::make_shared<ControlOptions>();
  command = add(app, run, "health",
                "Is a service ready? Its name, or `mesh` (can answer) or `executors` (all wanted "
                "ones are ready)",
                options, [](const ControlOptions& o) {
                  return print_reply(ask_monitor(o, "health", o.argument));
                });
  command->add_option("SERVICE", options->argument, "Name, mesh, or executors")->required();
  add_wait(*command, *options);

  options = std::make_shared<ControlOptions>();
  add(app, run, "down", "Stop the mesh that `up` started on this machine; it drains first", options,
      down);
}

}  // namespace aorta::services
