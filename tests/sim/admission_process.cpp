#include "tests/sim/admission_process.hpp"

namespace aorta::sim {

std::unique_ptr<mesh::Service> AdmissionProcess::make_core(const mesh::Hello& hello) {
  auto core = std::make_unique<admission::Admission>(
      hello, options_, admission::Admission::Models{{options_.default_model, oracle_.model()}});
  core_ = core.get();
  return core;
}

ConnectionId AdmissionProcess::connect(Handler handler) {
  ++last_connection_;
  connections_[last_connection_] = std::move(handler);
  return last_connection_;
}

void AdmissionProcess::close(ConnectionId connection) {
  connections_.erase(connection);
  ask([connection](admission::Admission& core, TimePoint now, mesh::Outbox& out) {
    core.gone(connection, now, out);
  });
}

void AdmissionProcess::ask(Ask ask) {
  turn([this, ask = std::move(ask)](TimePoint now, mesh::Outbox& out) { ask(*core_, now, out); });
}

// Clients hear of it later, as over a socket: never inside the turn.
void AdmissionProcess::after_turn() {
  for (auto& output : core_->take_client_events()) {
    timeline_.after(Duration(50), [this, output = std::move(output)] {
      auto connection = connections_.find(output.connection);
      if (connection == connections_.end()) return;
      const Handler handler = connection->second;  // it may close the connection
      handler(output.event);
    });
  }
}

}  // namespace aorta::sim
