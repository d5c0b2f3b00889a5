#pragma once
// The services of one process, each a core in its shell on the process's one loop.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/shell.hpp"
#include "base/result.hpp"
#include "services/setup.hpp"

namespace aorta::node {
class Spawner;
}

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
  // again by `reload`.
  int run(std::function<Result<Config>()> reload);

 private:
  struct AdmissionService;
  mesh::Hello hello(mesh::ServiceKind kind, const std::string& name, Incarnation incarnation) const;
  Result<void> add_admission(mesh::Hello hello, std::vector<std::string> binds);

  Config config_;
  Reach reach_;
  actors::Host host_;
  std::unique_ptr<AdmissionService> admission_;
  std::vector<std::unique_ptr<actors::Shell>> shells_;
};

}  // namespace aorta::services
