#include "tests/sim/admission_process.hpp"

#include <fmt/format.h>

namespace aorta::sim {

std::unique_ptr<mesh::Service> AdmissionProcess::make_core(const mesh::Hello& hello) {
  auto core = std::make_unique<admission::Admission>(
      hello, options_, admission::Admission::Models{{options_.default_model, oracle_.model()}});
  core_ = core.get();
  if (keeps_journal()) core_->recover(journal_.read(now() - timeline_.now()), now());
  return core;
}

ConnectionId AdmissionProcess::connect(Listener listener) {
  ++last_connection_;
  connections_[last_connection_] = std::move(listener);
  return last_connection_;
}

void AdmissionProcess::close(ConnectionId connection) {
  if (connections_.erase(connection) == 0) return;
  ask([connection](admission::Admission& core, TimePoint now, mesh::Outbox& out) {
    core.gone(connection, now, out);
  });
}

void AdmissionProcess::ask(Ask ask) {
  turn([this, ask = std::move(ask)](TimePoint now, mesh::Outbox& out) { ask(*core_, now, out); });
}

void AdmissionProcess::died() {
  for (auto& [id, listener] : std::exchange(connections_, {})) {
    timeline_.after(Duration(200), [cut = std::move(listener.cut)] { cut(); });
  }
  stale_.clear();
  journal_.owner_died();
}

void AdmissionProcess::before_message(const mesh::PeerId& from, const mesh::Message& message) {
  const auto* tokens = std::get_if<mesh::Tokens>(&message);
  if (tokens == nullptr) return;
  for (const mesh::TokenRun& run : tokens->runs) {
    const admission::Request* request = core_->requests().find(run.key.request);
    if (request == nullptr) continue;
    const admission::Placed* placed = request->placed();
    const bool present =
        placed != nullptr && placed->executor == from && request->epoch == run.key.epoch;
    if (present) return stale_.clear();  // its old epoch and its present one in one message
    stale_.push_back({request->id, request->ledger.next()});
  }
}

void AdmissionProcess::check_stale() {
  for (const Stale& stale : std::exchange(stale_, {})) {
    const admission::Request* request = core_->requests().find(stale.request);
    if (request == nullptr || request->ledger.next() == stale.next) continue;
    violation_ = fmt::format("{} took tokens of another epoch or executor than the one that {} is "
                             "placed with",
                             name(), stale.request.to_string());
  }
}

void AdmissionProcess::write_journal() {
  auto commands = core_->take_journal_commands();
  if (commands.empty()) return;
  journal_.add(std::move(commands), now() - timeline_.now(),
               [this](const std::vector<RequestId>& requests, const Result<void>& written) {
                 turn([this, requests, written](TimePoint now, mesh::Outbox& out) {
                   core_->on_journal(requests, written, now, out);
                 });
               });
}

// Clients hear of it later, as over a socket: never inside the turn.
void AdmissionProcess::after_turn() {
  if (!stale_.empty()) check_stale();
  if (keeps_journal()) write_journal();
  for (auto& output : core_->take_client_events()) {
    timeline_.after(Duration(50), [this, output = std::move(output)] {
      auto connection = connections_.find(output.connection);
      if (connection == connections_.end()) return;
      const auto told = connection->second.told;  // it may close the connection
      told(output.event);
    });
  }
}

}  // namespace aorta::sim
