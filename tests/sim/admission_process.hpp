#pragma once
// An admission and the door to it: connections of simulated clients, as its fronts would have them.
#include <map>
#include <memory>
#include <unordered_map>

#include "actors/admission/admission.hpp"
#include "tests/sim/journal.hpp"
#include "tests/sim/oracle.hpp"
#include "tests/sim/process.hpp"

namespace aorta::sim {

class AdmissionProcess final : public Process {
 public:
  struct Listener {
    std::function<void(const admission::ClientEvent&)> told;
    std::function<void()> cut;  // the admission died: its sockets are closed
  };

  AdmissionProcess(Timeline& timeline, Network& network, std::string name,
                   admission::AdmissionOptions options, const Oracle& oracle, Journal journal)
      : Process(timeline, network, name, mesh::ServiceKind::admission, "sim://" + name),
        options_(std::move(options)),
        oracle_(oracle),
        journal_(std::move(journal)) {}

  // A new connection; its listener is told until it closes. None while the admission is dead.
  ConnectionId connect(Listener listener);
  void close(ConnectionId connection);  // the client is gone, and admission is told
  using Ask = std::function<void(admission::Admission&, TimePoint, mesh::Outbox&)>;
  void ask(Ask ask);
  const admission::Admission& core() const { return *core_; }
  bool keeps_journal() const { return options_.journal; }
  Journal& journal() { return journal_; }
  const Journal& journal() const { return journal_; }
  // What its ledgers must not have done, as of the last turn; empty when all is well.
  const std::string& violation() const { return violation_; }

 protected:
  std::unique_ptr<mesh::Service> make_core(const mesh::Hello& hello) override;
  void before_message(const mesh::PeerId& from, const mesh::Message& message) override;
  void after_turn() override;
  void died() override;

 private:
  // A run of another epoch or executor than the request's present one: its ledger stays as it is.
  struct Stale {
    RequestId request;
    TokenIndex next;
  };
  void check_stale();
  void write_journal();

  admission::AdmissionOptions options_;
  const Oracle& oracle_;
  Journal journal_;
  admission::Admission* core_ = nullptr;
  std::map<ConnectionId, Listener> connections_;
  ConnectionId last_connection_;
  std::vector<Stale> stale_;
  std::string violation_;
};

}  // namespace aorta::sim
