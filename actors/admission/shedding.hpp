#pragma once
// Whether one more request is taken, held or refused: limits, the tenant's quota, and the wait that
// the scheduler's published figures predict (DESIGN: the scheduler's policy).
#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "actors/admission/options.hpp"
#include "actors/admission/request.hpp"

namespace aorta::admission {

struct Verdict {
  enum class Kind { take, hold, refuse } kind = Kind::take;
  Duration hold{};  // of hold: at most so long
  int status = 0;   // of refuse, and the rest, as in Rejected
  std::string code;
  std::string message;
  std::uint32_t retry_after_ms = 0;
};

// What is judged of a request: each of its choices takes a place and a slot.
struct Demand {
  const std::string& tenant;
  mesh::Tier tier{};
  std::uint32_t choices = 1;
  Duration remaining{};      // to its deadline
  std::uint64_t jitter = 0;  // any number; spreads the retries of many
  bool promised = false;     // another admission had accepted it: only the limits count
};

class Shedding {
 public:
  explicit Shedding(const AdmissionOptions& options);

  void observe(const mesh::SchedulerBeat& beat, TimePoint now);
  // The latest figures, if they can still be trusted.
  const mesh::SchedulerBeat* figures(TimePoint now) const;

  Verdict judge(const Demand& demand, TimePoint now) const;
  // Of requests that are held: need they be any longer, or is there nothing to wait for?
  Verdict judge_held(TimePoint now) const;
  void taken(std::uint32_t choices, TimePoint now);  // after judge() said so
  // For as long as an accepted request of this tier may wait, no executor has been ready, starting
  // or wanted: there is nothing to wait for.
  bool abandoned(mesh::Tier tier, TimePoint now) const;

  // Each request is counted in the one phase it is in; ended ones are not counted.
  void entered(const Request& request);
  void left(const Request& request);
  std::uint32_t count(Phase phase, mesh::Tier tier) const;
  std::uint32_t count(Phase phase) const;
  std::uint32_t open() const { return open_; }

 private:
  struct Tenant {
    std::uint32_t open = 0;
    std::array<std::uint32_t, mesh::tier_count> queued{};
  };
  Verdict refuse(int status, std::string code, std::string message, double wait_ms,
                 std::uint64_t jitter) const;
  Verdict judge_executors(const mesh::SchedulerBeat& beat) const;
  Verdict judge_figures(const mesh::SchedulerBeat& beat, const Demand& demand) const;
  double predicted_wait_ms(const mesh::SchedulerBeat& beat, const Demand& demand) const;

  const AdmissionOptions& options_;
  mesh::SchedulerBeat beat_;
  TimePoint beat_at_{};
  bool beat_known_ = false;
  TimePoint none_since_ = never;  // since when every beat has said that no executor is to come
  std::uint32_t blind_ = 0;       // taken since figures were last trusted
  std::uint32_t open_ = 0;
  std::array<std::array<std::uint32_t, mesh::tier_count>, phase_count> counts_{};
  std::map<std::string, Tenant> tenants_;                         // those with open requests
  std::array<std::uint32_t, mesh::tier_count> active_tenants_{};  // with queued requests
};

}  // namespace aorta::admission
