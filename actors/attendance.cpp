#include "actors/attendance.hpp"

#include <algorithm>

namespace aorta::actors {

Attendance::Attendance(mesh::Peering& peering, AttendanceOptions options)
    : peering_(peering), options_(std::move(options)) {}

void Attendance::start(TimePoint now, mesh::Outbox& out) {
  if (!options_.scheduler_address.empty()) {
    peering_.dial("scheduler", options_.scheduler_address, now, out);
  }
  if (!options_.monitor_address.empty()) {
    peering_.dial("monitor", options_.monitor_address, now, out);
  }
  next_beat_ = now;
  next_report_ = now;
}

void Attendance::tell(const std::string& name, const mesh::Message& message,
                      mesh::Outbox& out) const {
  if (peering_.dialled(name) && peering_.find(name)) out.sends.push_back({{name, {}}, message});
}

void Attendance::tell_both(const mesh::Message& message, mesh::Outbox& out) const {
  tell("scheduler", message, out);
  tell("monitor", message, out);
}

void Attendance::beat(mesh::ServiceState state, TimePoint now, mesh::Outbox& out) {
  const mesh::Peering::Peer* scheduler = peering_.find("scheduler");
  const mesh::PeerId to = scheduler != nullptr ? scheduler->self : mesh::PeerId{};
  if (now < next_beat_ && state == told_ && to == told_to_) return;
  told_ = state;
  told_to_ = to;
  next_beat_ = now + options_.beat_every;
  tell("scheduler", mesh::ServiceBeat{state}, out);
}

bool Attendance::report_due(TimePoint now) const { return now >= next_report_; }

void Attendance::report(mesh::Report report, TimePoint now, mesh::Outbox& out) {
  next_report_ = now + options_.report_every;
  tell("monitor", std::move(report), out);
}

TimePoint Attendance::next_tick() const { return std::min(next_beat_, next_report_); }

}  // namespace aorta::actors
