#pragma once
// The services of one process, each a core in its shell on the process's one loop.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/admission/journal_writer.hpp"
#include "actors/shell.hpp"
#include "base/result.hpp"
#include "mesh/api_keys.hpp"
#include "services/setup.hpp"

namespace aorta::node {
class NodeShell;
class Spawner;
}  // namespace aorta::node

namespace aorta::services {

class Composition {
 public:
  Composition(const Config& config, bool one_process);
  ~Composition();

  // Adds a service of this name, as this life of it. Errors: of the model's file, of an endpoint
  // that is taken (conflict) or wrong; each a sentence.
  Result<void> add(mesh::ServiceKind kind, const std::string& name, Incarnation incarnation);
  // Adds a node agent that runs `fixed` services and executors as children with these arguments;
  // on_whole is called once, when all of them are ready.
  struct Children {
    std::vector<mesh::ServiceKind> fixed;
    std::vector<std::string> arguments;  // of every child, beside those that say what it is
    std::function<void()> on_whole;
  };
  Result<void> add_node(const std::string& name, Incarnation incarnation, node::Spawner& spawner,
                        Children children);

  // `ready` is called once, when the admission of this process can serve a request.
  void when_ready(std::function<void()> ready);
  // Starts every service and runs until they have left; the exit code. SIGHUP reads the log level
  // again by `read_config`, and the keys; a node agent passes it on.
  int run(std::function<Result<Config>()> read_config);

 private:
  struct AdmissionService;
  mesh::Hello hello(mesh::ServiceKind kind, const std::string& name, Incarnation incarnation) const;
  Result<void> add_admission(mesh::Hello hello, std::vector<std::string> binds);
  Result<admission::OpenedJournal> read_journal(const admission::JournalWriterOptions& options);
  Result<void> add_monitor(mesh::Hello hello, const std::vector<std::string>& binds);
  Result<void> use_mesh_keys(mesh::ServiceKind role);
  Result<void> read_api_keys();
  Result<void> read_tls();
  void reload(const Config& config);

  Config config_;
  Reach reach_;
  std::shared_ptr<mesh::ApiKeys> api_keys_;  // of clients, where there are any to ask for them
  actors::Host host_;
  std::unique_ptr<AdmissionService> admission_;
  std::vector<std::unique_ptr<actors::Shell>> shells_;
  node::NodeShell* node_ = nullptr;  // one of them
};

}  // namespace aorta::services
