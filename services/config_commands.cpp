// `aorta config`: what is set, and whether a file is right.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "services/commands.hpp"
#include "services/exposure.hpp"
#include "services/key_files.hpp"

namespace aorta::services {
namespace {

struct ConfigOptions {
  Invocation invocation;
  bool json = false;
  std::string file;
};

nlohmann::json as_json(Config config) {
  nlohmann::json sections;
  for (const Setting& setting : config_settings()) {
    const std::size_t dot = setting.key.find('.');
    auto& value = sections[setting.key.substr(0, dot)][setting.key.substr(dot + 1)];
    std::visit([&](auto* field) { value = *field; }, setting.field(config));
  }
  return sections;
}

int show(const ConfigOptions& options) {
  auto config = load_config(options.invocation);
  if (!config) return report_bad_configuration(config.error());
  fmt::print("{}", options.json ? as_json(*config).dump(2) + "\n" : render_yaml(*config));
  return exit_done;
}

int check(const ConfigOptions& options) {
  Invocation invocation = options.invocation;
  invocation.config_path = options.file;
  auto config = load_config(invocation);
  if (!config) return report_bad_configuration(config.error());
  if (auto exposed = check_exposure(*config); !exposed) {
    return report_bad_configuration(exposed.error());
  }
  if (auto tls = load_tls(*config); !tls) return report_bad_configuration(tls.error());
  fmt::print("{} is right\n", options.file);
  return exit_done;
}

}  // namespace

void add_config_commands(CLI::App& app, Run& run) {
  CLI::App* parent = app.add_subcommand("config", "Show or check the configuration");
  parent->require_subcommand(1);
  auto options = std::make_shared<ConfigOptions>();
  CLI::App* command = parent->add_subcommand(
      "show", "Every setting as it would be used, commented; --config, AORTA_… and --set applied");
  add_config_options(*command, options->invocation);
  command->add_flag("--json", options->json, "As an object");
  command->callback([&run, options] { run = [options] { return show(*options); }; });

  options = std::make_shared<ConfigOptions>();
  command =
      parent->add_subcommand("check", "Say what is wrong with a configuration file, and where");
  command->add_option("FILE", options->file, "The file")->required();
  command->add_option("--set", options->invocation.sets, "One setting, such as --set http.bind=…")
      ->allow_extra_args(false);
  command->callback([&run, options] { run = [options] { return check(*options); }; });
}

}  // namespace aorta::services
