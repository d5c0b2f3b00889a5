#pragma once
// Who is next: tiers with floors, within a tier tenants by virtual time (start-time fair queuing:
// Goyal, Vin, Cheng, SIGCOMM 1996), within a tenant by deadline, then arrival. Pure bookkeeping:
// it knows no executors and no epochs; whether a request fits somewhere is asked of the caller.
//
//   push      an idle tenant's time moves up to the least of the active ones: no saved-up credit
//   pick      the lowest tier below its floor, else the most urgent; in it the tenant of least time
//   started   holds a slot until ended
//   charge    a tenant's time moves on by what it was given / its weight
#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "actors/scheduler/options.hpp"
#include "base/clock.hpp"
#include "base/ids.hpp"
#include "mesh/messages.hpp"

namespace aorta::scheduler {

struct Job {
  RequestId request;
  mesh::Tier tier = mesh::Tier::normal;
  std::string tenant;
  TimePoint arrival = never;   // when it was accepted: it keeps its place over all its lives
  TimePoint deadline = never;  // never: none
};

enum class Fit {
  now,      // an executor has room for it
  later,    // executors could serve it, but none has room: it may be passed a few times
  nowhere,  // no executor that is here could serve it: it stands in nobody's way
};

class Policy {
 public:
  explicit Policy(const PolicyOptions& options);

  void push(const Job& job);
  // It came earlier than was known when it was pushed: from now on it stands where it would.
  void move(const Job& job);
  // A waiting request leaves the queue; false when it does not wait.
  bool erase(RequestId request);
  // The next request to start on one of `slots` slots; it stays in the queue until started().
  // Those passed over remember it. nullopt: nothing fits, or one that was passed too often holds
  // its place (against all but the urgent: their latency is a promise).
  std::optional<RequestId> pick(std::uint32_t slots, const std::function<Fit(RequestId)>& fit);
  // From the queue, or straight from another life of this scheduler (then `job` never waited).
  void started(const Job& job);
  void ended(const Job& job);
  void charge(const Job& job, double cost);

  std::uint32_t queued(mesh::Tier tier) const;
  std::uint32_t running(mesh::Tier tier) const;
  double virtual_time(mesh::Tier tier, const std::string& tenant) const;  // 0: not known
  bool empty() const;  // nothing waits, nothing runs
  std::size_t tenants() const;

 private:
  struct Waiting {
    TimePoint deadline, arrival;
    RequestId request;
    auto operator<=>(const Waiting&) const = default;
  };
  struct Tenant {
    double time = 0;  // virtual: service received / weight
    std::set<Waiting> queue;
    std::uint32_t running = 0;
  };
  struct TierState {
    std::map<std::string, Tenant> tenants;
    std::uint32_t queued = 0, running = 0;
    std::uint32_t owed_percent = 0;  // of a start, due to a floor of less than one slot
  };
  struct Place {
    mesh::Tier tier;
    std::string tenant;
    Waiting waiting;
    std::uint32_t passed = 0;
  };
  TierState& tier(mesh::Tier t) { return tiers_[static_cast<std::size_t>(t)]; }
  const TierState& tier(mesh::Tier t) const { return tiers_[static_cast<std::size_t>(t)]; }
  bool below_floor(std::size_t tier, std::uint32_t slots) const;
  std::array<std::size_t, mesh::tier_count> order(std::uint32_t slots) const;
  std::optional<RequestId> first_fit(const Tenant& tenant, const std::function<Fit(RequestId)>& fit,
                                     std::vector<RequestId>& passed, bool& held) const;
  void forget_idle(TierState& state);

  PolicyOptions options_;
  std::array<TierState, mesh::tier_count> tiers_;
  std::unordered_map<RequestId, Place> places_;  // of those waiting
};

}  // namespace aorta::scheduler
