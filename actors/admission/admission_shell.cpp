#include "actors/admission/admission_shell.hpp"

#include "base/log.hpp"
#include "base/result.hpp"

namespace aorta::admission {
namespace {

constexpr unsigned front_shift = 48;

std::unique_ptr<mesh::Service> as_service(std::unique_ptr<Admission> core) { return core; }

void log_recovered(const Recovered& recovered) {
  if (recovered.worn_out > 0) {
    log::warning(
        "requests of earlier lives are given up: they have begun anew in too many of them. See in "
        "the node agent's log what ends this admission again and again",
        {{"requests", std::to_string(recovered.worn_out)},
         {"lives", std::to_string(most_lives)}});
  }
  if (recovered.known + recovered.over + recovered.unservable == 0) return;
  log::info("requests of an earlier life are known again",
            {{"known", std::to_string(recovered.known)},
             {"over", std::to_string(recovered.over)},
             {"model_not_served", std::to_string(recovered.unservable)}});
}

}  // namespace

AdmissionShell::AdmissionShell(actors::Host& host, std::unique_ptr<Admission> core,
                               const std::vector<std::string>& binds)
    : Shell(host, as_service(std::move(core)), binds),
      core_(static_cast<Admission&>(Shell::core())) {
  core_.also_report([this] {
    std::vector<mesh::Figure> all;
    for (const Front* front : fronts_) {
      for (mesh::Figure& figure : front->figures()) all.push_back(std::move(figure));
    }
    return all;
  });
}

void AdmissionShell::keep_journal(JournalWriterOptions options, OpenedJournal opened) {
  log_recovered(core_.recover(std::move(opened.entries), aorta::now()));
  core_.on_journal_state(opened.state);
  JournalWriter::Events events;
  events.written = [this](std::vector<RequestId> requests, Result<void> written) {
    post([this, requests = std::move(requests), written = std::move(written)](
             TimePoint now, mesh::Outbox& out) { core_.on_journal(requests, written, now, out); });
  };
  events.opened = [this](std::vector<JournalEntry> entries) {
    post([this, entries = std::move(entries)](TimePoint now, mesh::Outbox&) {
      log_recovered(core_.recover(entries, now));
    });
  };
  events.state = [this](Result<void> state) {
    post([this, state = std::move(state)](TimePoint, mesh::Outbox&) {
      core_.on_journal_state(state);
    });
  };
  journal_ =
      std::make_unique<JournalWriter>(std::move(options), std::move(opened.file), events);
}

ConnectionId AdmissionShell::add_front(Front& front) {
  AORTA_CHECK(fronts_.size() < (1u << 16), "connection ids have 16 bits for the front");
  fronts_.push_back(&front);
  return ConnectionId{std::uint64_t{fronts_.size() - 1} << front_shift};
}

// Before clients are told: what they hear of is written no later.
void AdmissionShell::after_turn(TimePoint) {
  if (auto commands = core_.take_journal_commands(); journal_ && !commands.empty()) {
    journal_->add(std::move(commands));
  }
  in_turn_ = true;
  for (const auto& [connection, event] : core_.take_client_events()) {
    fronts_.at(connection.value >> front_shift)->deliver(connection, event);
  }
  in_turn_ = false;
}

// A front may find its socket full or its client gone while it is told something.
void AdmissionShell::turn(Turn turn) {
  if (in_turn_) {
    post(std::move(turn));
  } else {
    run_turn(turn);
  }
}

void AdmissionShell::generate(ConnectionId connection, GenerateRequest request) {
  turn([this, connection, request = std::move(request)](TimePoint now, mesh::Outbox& out) mutable {
    core_.generate(connection, std::move(request), now, out);
  });
}

void AdmissionShell::cancel(ConnectionId connection, const std::string& tenant, RequestId request) {
  turn([=, this](TimePoint now, mesh::Outbox& out) {
    core_.cancel(connection, tenant, request, now, out);
  });
}

void AdmissionShell::resume(ConnectionId connection, ResumeRequest resume) {
  turn([this, connection, resume = std::move(resume)](TimePoint now, mesh::Outbox& out) mutable {
    core_.resume(connection, std::move(resume), now, out);
  });
}

void AdmissionShell::gone(ConnectionId connection) {
  turn([=, this](TimePoint now, mesh::Outbox& out) { core_.gone(connection, now, out); });
}

void AdmissionShell::hold(ConnectionId connection, bool held) {
  turn([=, this](TimePoint now, mesh::Outbox& out) { core_.hold(connection, held, now, out); });
}

Readiness AdmissionShell::readiness() const { return core_.readiness(aorta::now()); }

std::shared_ptr<const engine::TextModel> AdmissionShell::text_model(const std::string& name) const {
  return core_.text_model(name);
}

std::vector<mesh::Figure> AdmissionShell::figures() const { return core_.figures(aorta::now()); }

std::string AdmissionShell::request_json(const std::string& tenant, RequestId request) const {
  return core_.request_json(tenant, request);
}

}  // namespace aorta::admission
