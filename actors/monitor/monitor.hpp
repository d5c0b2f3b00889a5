#pragma once
// The monitor's core: it collects what people look at (figures, membership, audits), answers tools,
// and says how many executors there should be. Requests are served without it.
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/attendance.hpp"
#include "actors/monitor/fleet.hpp"
#include "mesh/peering.hpp"
#include "mesh/service.hpp"

namespace aorta::monitor {

struct MonitorOptions {
  actors::AttendanceOptions attendance;  // its own reports go nowhere: they are here already
  mesh::PeeringOptions peering;
  Duration desired_every = std::chrono::seconds(1);
  std::uint32_t max_executors = 64;
  // Node agents start and stop executors; false: somebody else does, container by container.
  bool actuates = true;
  // Figures of a service that was not heard for so long are shown no more.
  Duration forget_figures_after = std::chrono::seconds(10);
  // An audit asks again until it balances, for so long; each time it waits for answers so long.
  Duration audit_for = std::chrono::seconds(5);
  Duration audit_round = std::chrono::seconds(1);
  Duration audit_apart = std::chrono::milliseconds(200);  // two beats
};

class Monitor final : public mesh::Service {
 public:
  Monitor(mesh::Hello self, const MonitorOptions& options);
  ~Monitor() override;

  const mesh::Hello& self() const override { return peering_.self(); }
  void start(TimePoint now, mesh::Outbox& out) override;
  void receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
               mesh::Outbox& out) override;
  void unreachable(const mesh::PeerId& peer, TimePoint now, mesh::Outbox& out) override;
  void drain(TimePoint now, mesh::Outbox& out) override;
  void tick(TimePoint now, mesh::Outbox& out) override;
  TimePoint next_tick() const override;

  // Of every service, each with its name as a label, and the monitor's own.
  std::vector<mesh::Figure> figures() const;
  const Fleet& fleet() const { return fleet_; }

 private:
  struct Tool {  // to be answered
    mesh::PeerId peer;
    std::uint64_t token = 0;
  };
  struct Waiting {  // a tool that waits until something is so
    enum class For { ready, settled, gone };
    Tool tool;
    For what = For::ready;
    std::string name;
    TimePoint deadline{};
  };
  struct Audit;
  struct Reported {
    std::vector<mesh::Figure> figures;
    TimePoint at{};
  };

  void on_control(const Tool& tool, const mesh::Control& control, TimePoint now, mesh::Outbox& out);
  void on_scale(const Tool& tool, const std::string& argument, Duration wait, TimePoint now,
                mesh::Outbox& out);
  void on_drain(const Tool& tool, const std::string& name, Duration wait, TimePoint now,
                mesh::Outbox& out);
  void answer(const Tool& tool, int exit_code, std::string text, mesh::Outbox& out) const;
  void wait(Waiting waiting, TimePoint now, mesh::Outbox& out);
  bool try_answer(const Waiting& waiting, TimePoint now, mesh::Outbox& out) const;
  void answer_waiting(TimePoint now, mesh::Outbox& out);

  void begin_audit_round(Audit& audit, TimePoint now, mesh::Outbox& out);
  void on_audit_reply(const mesh::PeerId& from, const mesh::AuditReply& reply, TimePoint now,
                      mesh::Outbox& out);
  void finish_audit_round(Audit& audit, TimePoint now, mesh::Outbox& out);
  void tick_audits(TimePoint now, mesh::Outbox& out);

  void tell_desired(TimePoint now, mesh::Outbox& out);
  void peer_gone(const std::string& name);

  MonitorOptions options_;
  mesh::Peering peering_;
  actors::Attendance attendance_;
  Fleet fleet_;
  std::map<std::string, Reported> reported_;
  std::vector<Waiting> waiting_;
  std::vector<Audit> audits_;
  std::uint64_t audit_tokens_ = 0;
  TimePoint next_desired_{};
};

}  // namespace aorta::monitor
