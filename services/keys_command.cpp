// `aorta keys`: the keys of a mesh, and of its clients.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "services/commands.hpp"
#include "services/key_files.hpp"
#include "services/state_lock.hpp"

namespace aorta::services {
namespace {

struct KeysOptions {
  Invocation invocation;
  std::string folder;  // init
  bool force = false;
  std::string tenant = mesh::default_tenant, name;  // add
  std::string id;                                   // revoke
  bool json = false;                                // list
};

int init(const KeysOptions& options) {
  auto config = load_config(options.invocation);
  if (!config) return report_bad_configuration(config.error());
  if (!options.folder.empty()) config->security.keys_folder = options.folder;
  const std::string folder = keys_folder(*config);
  if (auto made = init_mesh_keys(folder, options.force); !made) return report(made.error());
  fmt::print(
      "The mesh's keys are in {}.\n"
      "Each service needs mesh.public and the .secret of its kind (a node agent: also those of its "
      "children),\nin a folder that security.keys_folder names; commands such as `aorta ps` need "
      "tool.secret.\n",
      folder);
  return exit_done;
}

// A mesh that `up` runs here reads its keys again.
void tell_mesh(const Config& config) {
  const int pid = holder_of(state_folder(config));
  if (pid > 0 && ::kill(pid, SIGHUP) == 0) {
    fmt::print(stderr, "The mesh that is up (process {}) reads its keys again.\n", pid);
    return;
  }
  fmt::print(stderr, "Services that use {} read it when they start, and at SIGHUP.\n",
             api_keys_path(config));
}

int add_key(const KeysOptions& options) {
  auto config = load_config(options.invocation);
  if (!config) return report_bad_configuration(config.error());
  const std::string key = mesh::draw_api_key();
  auto entry = mesh::make_entry(key, options.tenant, options.name);
  if (!entry) return report(entry.error());
  auto changed =
      change_api_keys(api_keys_path(*config), [&](std::vector<mesh::ApiKey>& keys) -> Result<void> {
        keys.push_back(*entry);
        return {};
      });
  if (!changed) return report(changed.error());
  fmt::print("{}\n", key);
  std::fflush(stdout);
  fmt::print(stderr, "Key {} of tenant {}. It is shown only now: keep it.\n", entry->id,
             entry->tenant);
  tell_mesh(*config);
  return exit_done;
}

int list(const KeysOptions& options) {
  auto config = load_config(options.invocation);
  if (!config) return report_bad_configuration(config.error());
  const auto keys = read_api_keys(api_keys_path(*config));
  if (!keys) return report(keys.error());
  nlohmann::json all = nlohmann::json::array();
  if (!options.json) fmt::print("{:<8}  {:<16}  {:<20}  {}\n", "ID", "TENANT", "CREATED", "NAME");
  for (const mesh::ApiKey& key : *keys) {
    const std::string created = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(key.created));
    if (!options.json) {
      fmt::print("{:<8}  {:<16}  {:<20}  {}\n", key.id, key.tenant, created, key.name);
    }
    all.push_back(
        {{"id", key.id}, {"tenant", key.tenant}, {"created", created}, {"name", key.name}});
  }
  if (options.json) {
    fmt::print("{}\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  return exit_done;
}

int revoke(const KeysOptions& options) {
  auto config = load_config(options.invocation);
  if (!config) return report_bad_configuration(config.error());
  const std::string path = api_keys_path(*config);
  std::size_t left = 0;
  auto changed = change_api_keys(path, [&](std::vector<mesh::ApiKey>& keys) -> Result<void> {
    const auto gone = std::erase_if(keys, [&](const auto& key) { return key.id == options.id; });
    left = keys.size();
    if (gone > 0) return {};
    return Error{ErrorCode::not_found,
                 fmt::format("there is no key {}; `aorta keys list` shows their ids", options.id)};
  });
  if (!changed) return report(changed.error());
  fmt::print("key {} is revoked\n", options.id);
  std::fflush(stdout);
  if (left == 0) {
    fmt::print(stderr,
               "No key is left, so clients are refused until you add one. To ask for none, remove "
               "{}.\n",
               path);
  }
  tell_mesh(*config);
  return exit_done;
}

using Action = int (*)(const KeysOptions&);

CLI::App* add(CLI::App& parent, Run& run, const char* name, const char* description,
              const std::shared_ptr<KeysOptions>& options, Action action) {
  CLI::App* command = parent.add_subcommand(name, description);
  add_config_options(*command, options->invocation);
  command->callback(
      [&run, options, action] { run = [options, action] { return action(*options); }; });
  return command;
}

}  // namespace

void add_keys_commands(CLI::App& app, Run& run) {
  CLI::App* parent = app.add_subcommand("keys", "Keys of the mesh's services and of its clients");
  parent->require_subcommand(1);

  auto options = std::make_shared<KeysOptions>();
  CLI::App* command =
      add(*parent, run, "init", "Make the keys by which services on several hosts know each other",
          options, init);
  command->add_option("--dir", options->folder, "Where to; default: keys in the state folder");
  command->add_flag("--force", options->force, "Replace those that are there");

  options = std::make_shared<KeysOptions>();
  command = add(*parent, run, "add", "Make a client's key and print it, once", options, add_key);
  command->add_option("--tenant", options->tenant,
                      "Whose: requests are shared out fairly among tenants, and each sees only its "
                      "own (default: default)");
  command->add_option("--name", options->name, "For people, in `keys list`");

  options = std::make_shared<KeysOptions>();
  add(*parent, run, "list", "List the clients' keys, without the keys themselves", options, list)
      ->add_flag("--json", options->json, "As a list of objects");

  options = std::make_shared<KeysOptions>();
  add(*parent, run, "revoke", "Refuse a client's key from now on", options, revoke)
      ->add_option("ID", options->id, "As in `keys list`")
      ->required();
}

}  // namespace aorta::services
