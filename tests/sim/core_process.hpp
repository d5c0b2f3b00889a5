#pragma once
// A process whose core needs nothing beside its messages: a scheduler, a monitor.
#include <functional>
#include <memory>

#include "tests/sim/process.hpp"

namespace aorta::sim {

template <class Core>
class CoreProcess : public Process {
 public:
  using Make = std::function<std::unique_ptr<Core>(const mesh::Hello&)>;
  CoreProcess(Timeline& timeline, Network& network, const std::string& name, mesh::ServiceKind kind,
              Make make)
      : Process(timeline, network, name, kind, "sim://" + name), make_(std::move(make)) {}
  const Core& core() const { return *core_; }

 protected:
  std::unique_ptr<mesh::Service> make_core(const mesh::Hello& hello) override {
    auto core = make_(hello);
    core_ = core.get();
    return core;
  }
  Core* core_ = nullptr;

 private:
  Make make_;
};

}  // namespace aorta::sim
