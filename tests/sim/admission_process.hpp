#pragma once
// An admission and the door to it: connections of simulated clients, as its fronts would have them.
#include <map>
#include <memory>

#include "actors/admission/admission.hpp"
#include "tests/sim/oracle.hpp"
#include "tests/sim/process.hpp"

namespace aorta::sim {

class AdmissionProcess final : public Process {
 public:
  using Handler = std::function<void(const admission::ClientEvent&)>;

  AdmissionProcess(Timeline& timeline, Network& network, std::string name,
                   admission::AdmissionOptions options, const Oracle& oracle)
      : Process(timeline, network, name, mesh::ServiceKind::admission, "sim://" + name),
        options_(std::move(options)),
        oracle_(oracle) {}

  // A new connection; `handler` gets what it is told until it closes.
  ConnectionId connect(Handler handler);
  void close(ConnectionId connection);  // the client is gone, and admission is told
  using Ask = std::function<void(admission::Admission&, TimePoint, mesh::Outbox&)>;
  void ask(Ask ask);
  const admission::Admission& core() const { return *core_; }

 protected:
  std::unique_ptr<mesh::Service> make_core(const mesh::Hello& hello) override;
  void after_turn() override;

 private:
  admission::AdmissionOptions options_;
  const Oracle& oracle_;
  admission::Admission* core_ = nullptr;
  std::map<ConnectionId, Handler> connections_;
  ConnectionId last_connection_;
};

}  // namespace aorta::sim
