#pragma once
// The commands of `aorta`, a file per group. Each adds its subcommands to the parser; the one that
// was chosen sets `run`, which does it and returns the exit code.
#include <functional>
#include <string>

#include "base/result.hpp"
#include "services/exit_codes.hpp"
#include "services/setup.hpp"

namespace CLI {
class App;
}

namespace aorta::services {

using Run = std::function<int()>;

void add_up_command(CLI::App& app, Run& run);        // up
void add_serve_commands(CLI::App& app, Run& run);    // serve KIND
void add_ask_command(CLI::App& app, Run& run);       // ask
void add_chat_command(CLI::App& app, Run& run);      // chat
void add_control_commands(CLI::App& app, Run& run);  // ps, scale, drain, audit, health, down
void add_model_commands(CLI::App& app, Run& run);    // model inspect|tokenize|logits|perplexity
void add_keys_commands(CLI::App& app, Run& run);     // keys init|add|list|revoke
void add_config_commands(CLI::App& app, Run& run);   // config show|check

// The options that every command takes which needs a configuration.
void add_config_options(CLI::App& command, Invocation& invocation);
// An option that is short for --set KEY=VALUE.
void add_setting_option(CLI::App& command, Invocation& invocation, const std::string& option,
                        const std::string& key, const std::string& description);

// A SIGHUP that comes while a service starts is not its end.
void ignore_hup_until_handled();

// Prints the error's sentence to stderr; the exit code that fits it.
int report(const Error& error);
int report_bad_configuration(const Error& error);
// Of a service that cannot start: with a code that tells a node agent not to try again when that
// would end the same way.
int report_cannot_start(const Error& error);

std::string version_text();

}  // namespace aorta::services
