#pragma once
// From a command line to a configuration, and from a configuration to places: where this mesh's
// state lies, where its services meet, which model file it serves.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/config.hpp"
#include "base/result.hpp"
#include "mesh/messages.hpp"

namespace aorta::services {

// What every command takes.
struct Invocation {
  std::string config_path;
  std::vector<std::string> sets;  // a.b=c, in order; flags such as --executors are among them
  // The same as arguments, for a child that is to have the same configuration.
  std::vector<std::string> arguments() const;
};

// Defaults, then the file, then the environment, then --set.
Result<Config> load_config(const Invocation& invocation);

inline constexpr const char* fake_model = "fake";
struct Model {
  std::string path;  // empty: the fake model, which has no file
  std::string id;
  bool fake_engine = false;  // nobody reads the file's weights
  bool fake() const { return path.empty(); }
};
Model model_of(const Config& config);
// What requests get that name neither temperature nor top_p.
struct DefaultSampling {
  float temperature = 1, top_p = 1;
};
DefaultSampling default_sampling(const Config& config);
// not_found with a sentence that says how to get it; corrupt, unsupported: it cannot be served. A
// model of which `packs` has a pack was examined when it was packed.
Result<void> check_model(const Model& model, const std::string& packs);

std::string state_folder(const Config& config);
std::string log_folder(const Config& config);
std::string pack_folder(const Config& config);
std::string kv_store_path(const Config& config);  // the file in which executors share KV blocks
std::string journal_folder(const Config& config);
// Makes a folder and its parents, for this user alone (0700). Errors: io.
Result<void> make_private_folder(const std::string& path);

// Services meet in one process (inproc), on one host (ipc), or between hosts (tcp).
enum class Reach { process, host, network };
Reach reach_of(const Config& config, bool one_process);
// Where a binder listens, and where others dial it.
std::string bind_endpoint(const Config& config, Reach reach, mesh::ServiceKind kind,
                          const std::string& name);
std::string dial_endpoint(const Config& config, Reach reach, mesh::ServiceKind kind,
                          const std::string& name);

std::string host_name();
Incarnation draw_incarnation();
// Threads of one executor's engine.
std::uint32_t engine_threads(const Config& config);

}  // namespace aorta::services
