#pragma once
// What every service does beside its own work: it dials the scheduler and the monitor, beats to the
// one and reports to the other. Used by cores whose beats say nothing but their state.
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "mesh/peering.hpp"

namespace aorta::actors {

struct AttendanceOptions {
  std::string scheduler_address;  // empty: none is dialled
  std::string monitor_address;    // empty: none is dialled
  Duration beat_every = std::chrono::milliseconds(100);
  Duration report_every = std::chrono::seconds(1);
};

class Attendance {
 public:
  // `peering` must outlive it.
  Attendance(mesh::Peering& peering, AttendanceOptions options);

  void start(TimePoint now, mesh::Outbox& out);
  // Beats when due, and at once when `state` or the scheduler's life is news: it is called whenever
  // a peer joins.
  void beat(mesh::ServiceState state, TimePoint now, mesh::Outbox& out);
  bool report_due(TimePoint now) const;
  void report(mesh::Report report, TimePoint now, mesh::Outbox& out);
  TimePoint next_beat() const { return next_beat_; }
  TimePoint next_tick() const;  // next beat or report
  // To the scheduler and the monitor, if they are there.
  void tell_both(const mesh::Message& message, mesh::Outbox& out) const;

 private:
  void tell(const std::string& name, const mesh::Message& message, mesh::Outbox& out) const;

  mesh::Peering& peering_;
  AttendanceOptions options_;
  mesh::ServiceState told_{};
  mesh::PeerId told_to_;  // no name: there was no scheduler
  TimePoint next_beat_{}, next_report_{};
};

}  // namespace aorta::actors
