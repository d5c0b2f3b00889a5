#include "services/setup.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "base/cores.hpp"
#include "base/ids.hpp"
#include "engine/model/model_tools.hpp"
#include "engine/model/pack.hpp"
#include "engine/text/text_model.hpp"

extern char** environ;

namespace aorta::services {
namespace {

namespace fs = std::filesystem;
using mesh::ServiceKind;

std::string home_folder(const char* variable, const char* fallback) {
  if (const char* set = std::getenv(variable); set != nullptr && *set == '/') return set;
  const char* home = std::getenv("HOME");
  return fmt::format("{}/{}", home != nullptr ? home : ".", fallback);
}

constexpr const char* demo_file = "SmolLM2-135M-Instruct.Q4_1.gguf";

std::string cache_home() { return home_folder("XDG_CACHE_HOME", ".cache") + "/aorta"; }

}  // namespace

std::vector<std::string> Invocation::arguments() const {
  std::vector<std::string> arguments;
  if (!config_path.empty()) arguments = {"--config", fs::absolute(config_path).string()};
  for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
  return arguments;
}

Result<Config> load_config(const Invocation& invocation) {
  Config config;
  if (!invocation.config_path.empty()) {
    if (auto loaded = load_yaml_file(config, invocation.config_path); !loaded) {
      return loaded.error();
    }
  }
  if (auto loaded = load_environment(config, environ); !loaded) return loaded.error();
  for (const std::string& set : invocation.sets) {
    if (auto loaded = load_set(config, set); !loaded) return loaded.error();
  }
  return config;
}

Model model_of(const Config& config) {
  if (config.model.path == fake_model) {
    return {"", config.model.id.empty() ? fake_model : config.model.id, true};
  }
  Model model{config.model.path, config.model.id, config.engine.kind == "fake"};
  if (model.path.empty()) {
    model.path = fmt::format("{}/models/{}", cache_home(), demo_file);
  }
  fs::path path = fs::absolute(model.path).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // a directory's name with a / at its end
  model.path = path.string();
  if (model.id.empty()) {
    model.id = (path.extension() == ".gguf" ? path.stem() : path.filename()).string();
  }
  return model;
}

DefaultSampling default_sampling(const Config& config) {
  DefaultSampling sampling;
  if (fs::path(model_of(config).path).filename() == demo_file) sampling = {0.2f, 0.9f};
  if (config.model.temperature >= 0) {
    sampling.temperature = static_cast<float>(config.model.temperature);
  }
  if (config.model.top_p >= 0) sampling.top_p = static_cast<float>(config.model.top_p);
  return sampling;
}

namespace {

// All that a fake engine needs of a model.
Result<void> check_text(const std::string& path) {
  const auto text = engine::TextModel::open(path);
  return text ? Result<void>() : text.error();
}

}  // namespace

Result<void> check_model(const Model& model, const std::string& packs) {
  std::error_code error;
  if (model.fake()) return {};
  if (fs::is_regular_file(model.path, error) || fs::is_directory(model.path, error)) {
    if (model.fake_engine) return check_text(model.path);
    const auto packed = engine::find_pack(model.path, packs);
    if (packed && !packed->empty()) return {};
    const auto summary = engine::inspect_model(model.path);
    return summary ? Result<void>() : summary.error();
  }
  return Error{ErrorCode::not_found,
               fmt::format("there is no model file at {}: name one with --model FILE.gguf, or a "
                           "model's directory, or let tools/run fetch the demo model",
                           model.path)};
}

std::string state_folder(const Config& config) {
  if (!config.mesh.state_folder.empty()) return fs::absolute(config.mesh.state_folder).string();
  return fmt::format("{}/aorta/{}", home_folder("XDG_STATE_HOME", ".local/state"),
                     config.mesh.port_base);
}

std::string log_folder(const Config& config) { return state_folder(config) + "/logs"; }

std::string pack_folder(const Config& config) {
  return config.cache.folder.empty() ? cache_home() + "/packs" : config.cache.folder;
}

// Two meshes of a user have two files, and a mesh that starts again has the same one.
std::string kv_store_path(const Config& config) {
  const std::string state = state_folder(config);
  return fmt::format("{}/aorta-{}-{}-{:08x}-kv", config.cache.kv_folder, ::getuid(),
                     fs::path(state).filename().string(),
                     static_cast<std::uint32_t>(stable_hash(state)));
}

std::string journal_folder(const Config& config) {
  return config.journal.folder.empty() ? state_folder(config) + "/journal" : config.journal.folder;
}

Result<void> make_private_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) {
    return Error{ErrorCode::io, fmt::format("cannot make the folder {}: {}; set mesh.state_folder "
                                            "to one that can be written",
                                            path, error.message())};
  }
  ::chmod(path.c_str(), 0700);
  return {};
}

Reach reach_of(const Config& config, bool one_process) {
  if (one_process) return Reach::process;
  return config.mesh.bind == "ipc" ? Reach::host : Reach::network;
}

std::string bind_endpoint(const Config& config, Reach reach, ServiceKind kind,
                          const std::string& name) {
  if (reach == Reach::process) return "inproc://aorta/" + name;
  if (reach == Reach::host) return fmt::format("ipc://{}/{}.sock", state_folder(config), name);
  const std::uint32_t base = config.mesh.port_base;
  const std::uint32_t port = kind == ServiceKind::scheduler   ? base + 3
                             : kind == ServiceKind::admission ? base + 4
                             : kind == ServiceKind::cache     ? base + 5
                                                              : base + 6;
  return fmt::format("tcp://{}:{}", config.mesh.bind, port);
}

std::string dial_endpoint(const Config& config, Reach reach, ServiceKind kind,
                          const std::string& name) {
  const std::string& configured = kind == ServiceKind::scheduler ? config.mesh.scheduler
                                  : kind == ServiceKind::monitor ? config.mesh.monitor
                                  : kind == ServiceKind::cache   ? config.mesh.cache
                                                                 : config.mesh.state_folder;
  const bool named =
      kind == ServiceKind::scheduler || kind == ServiceKind::monitor || kind == ServiceKind::cache;
  if (named && !configured.empty() && reach != Reach::process) return configured;
  std::string endpoint = bind_endpoint(config, reach, kind, name);
  if (reach == Reach::network) {  // others dial what is advertised, and never "any address"
    const std::string& bound = config.mesh.bind;
    const bool any = bound == "0.0.0.0" || bound == "*" || bound == "::";
    const std::string host = !config.mesh.advertise.empty() ? config.mesh.advertise
                             : any                          ? host_name()
                                                            : bound;
    endpoint = "tcp://" + host + endpoint.substr(endpoint.rfind(':'));
  }
  return endpoint;
}

std::string host_name() {
  char name[256] = "localhost";
  ::gethostname(name, sizeof name - 1);
  return name;
}

Incarnation draw_incarnation() {
  const auto since_epoch = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  return Incarnation{static_cast<std::uint64_t>(since_epoch.count()) << 16 |
                     (std::random_device{}() & 0xffff)};
}

std::uint32_t engine_threads(const Config& config) {
  if (config.engine.threads > 0) return config.engine.threads;
  return std::max(1u, usable_cores() / std::max(1u, config.node.executors));
}

}  // namespace aorta::services
