#pragma once
// Runs the admission core on sockets, and connects it with the fronts: their calls become turns of
// its actor, and after each turn its events reach the front of their connection. Its journal is
// written on threads of its own.
#include <memory>
#include <string>
#include <vector>

#include "actors/admission/admission.hpp"
#include "actors/admission/journal_writer.hpp"
#include "actors/shell.hpp"

namespace aorta::admission {

class AdmissionShell : public actors::Shell, public ClientPort {
 public:
  // `binds`: where executors dial; the core's hello says the address that they are told.
  AdmissionShell(actors::Host& host, std::unique_ptr<Admission> core,
                 const std::vector<std::string>& binds);

  // Connection ids of this front are the result and the 2^48 − 1 that follow it. The front outlives
  // the shell.
  ConnectionId add_front(Front& front);

  // Without it nothing that the core wants journaled is answered. Before begin(). A file that is not
  // open yet is opened as soon as that works.
  void keep_journal(JournalWriterOptions options, OpenedJournal opened);

  // On the loop's thread.
  void generate(ConnectionId connection, GenerateRequest request) override;
  void cancel(ConnectionId connection, const std::string& tenant, RequestId request) override;
  void resume(ConnectionId connection, ResumeRequest resume) override;
  void gone(ConnectionId connection) override;
  void hold(ConnectionId connection, bool held) override;
  Readiness readiness() const override;
  std::shared_ptr<const engine::TextModel> text_model(const std::string& name) const override;
  std::vector<mesh::Figure> figures() const override;
  std::string request_json(const std::string& tenant, RequestId request) const override;

 protected:
  void after_turn(TimePoint now) override;

 private:
  void turn(Turn turn);

  Admission& core_;
  std::vector<Front*> fronts_;
  bool in_turn_ = false;  // fronts are being told: what they call now is a later turn
  std::unique_ptr<JournalWriter> journal_;
};

}  // namespace aorta::admission
