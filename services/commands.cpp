#include "services/commands.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>

#include "engine/cpu/isa.hpp"
#include "mesh/messages.hpp"
#include "services/version.hpp"

namespace aorta::services {

void add_config_options(CLI::App& command, Invocation& invocation) {
  command
      .add_option("--config", invocation.config_path,
                  "Configuration file; configs/aorta.yaml is the complete commented default")
      ->check(CLI::ExistingFile);
  command
      .add_option("--set", invocation.sets,
                  "One setting, such as --set engine.threads=2; may be repeated")
      ->take_all()
      ->allow_extra_args(false);
  add_setting_option(command, invocation, "--port-base", "mesh.port_base",
                     "First of this mesh's ports (default 8080): P HTTP, P+1 ZeroMQ, P+2 monitor");
  command.add_flag_callback(
      "--insecure", [&invocation] { invocation.sets.push_back("mesh.insecure=true"); },
      "Listen beyond loopback without keys");
}

void add_setting_option(CLI::App& command, Invocation& invocation, const std::string& option,
                        const std::string& key, const std::string& description) {
  command.add_option_function<std::string>(
      option,
      [&invocation, key](const std::string& value) {
        invocation.sets.push_back(key + "=" + value);
      },
      description);
}

void ignore_hup_until_handled() { std::signal(SIGHUP, SIG_IGN); }

int report(const Error& error) {
  fmt::print(stderr, "aorta: {}\n", error.message);
  switch (error.code) {
    case ErrorCode::unavailable:
      return exit_try_again;
    case ErrorCode::not_found:
    case ErrorCode::unsupported:
    case ErrorCode::conflict:
    case ErrorCode::io:
    case ErrorCode::resource_exhausted:
      return exit_not_possible;
    case ErrorCode::invalid_argument:
      return exit_usage;
    case ErrorCode::corrupt:
      break;
  }
  return exit_failed;
}

int report_bad_configuration(const Error& error) {
  report(error);
  return exit_bad_configuration;
}

int report_cannot_start(const Error& error) {
  return error.code == ErrorCode::corrupt ? report_bad_configuration(error) : report(error);
}

std::string version_text() {
  return fmt::format("aorta {} (commit {}, mesh protocol {}, instruction sets here: {})",
                     version_number, version_commit, mesh::protocol_version,
                     fmt::join(engine::cpu::available_isas(), ", "));
}

}  // namespace aorta::services
