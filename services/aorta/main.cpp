// The `aorta` command: one binary for every service and tool.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "services/commands.hpp"

int main(int argc, char** argv) {
  using namespace aorta::services;
  CLI::App app(
      "Aorta serves language models from a mesh of small services that keeps answering.\n\n"
      "  aorta up --executors 2        start a mesh on this machine\n"
      "  aorta ask \"Why is it blue?\"   ask it\n"
      "  aorta chat                    talk with it\n"
      "  aorta ps                      see what runs\n"
      "  aorta scale executors=4       more executors, or fewer\n"
      "  aorta audit                   check that nothing was lost or leaked\n");
  app.require_subcommand(1);
  app.set_version_flag("--version", version_text(), "Version, protocol and instruction sets");
  app.option_defaults()->always_capture_default(false);

  Run run;
  add_up_command(app, run);
  add_ask_command(app, run);
  add_chat_command(app, run);
  add_control_commands(app, run);
  add_serve_commands(app, run);
  add_model_commands(app, run);
  add_keys_commands(app, run);
  add_config_commands(app, run);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? exit_done : exit_usage;
  }
  try {
    return run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "aorta: {}\n", error.what());
    return exit_failed;
  }
}
