#include "actors/scheduler/policy.hpp"

#include <algorithm>

#include "base/result.hpp"

namespace aorta::scheduler {
namespace {

constexpr std::size_t look_behind = 64;  // waiting requests asked for a fit, at most, in one pick

// The least virtual time among tenants that wait; when nobody waits, among those that run.
template <class Tenants>
std::optional<double> least_active_time(const Tenants& tenants) {
  std::optional<double> waiting, running;
  auto lower = [](std::optional<double>& least, double time) {
    least = least ? std::min(*least, time) : time;
  };
  for (const auto& [name, tenant] : tenants) {
    if (!tenant.queue.empty()) lower(waiting, tenant.time);
    if (tenant.running > 0) lower(running, tenant.time);
  }
  return waiting ? waiting : running;
}

}  // namespace

Policy::Policy(const PolicyOptions& options) : options_(options) {}

void Policy::push(const Job& job) {
  const Waiting waiting{job.deadline, job.arrival, job.request};
  const bool added = places_.try_emplace(job.request, Place{job.tier, job.tenant, waiting}).second;
  AORTA_CHECK(added, "a request waits once");
  TierState& state = tier(job.tier);
  const std::optional<double> least = least_active_time(state.tenants);
  Tenant& tenant = state.tenants[job.tenant];
  if (tenant.queue.empty() && least) tenant.time = std::max(tenant.time, *least);
  tenant.queue.insert(waiting);
  ++state.queued;
}

void Policy::move(const Job& job) {
  auto place = places_.find(job.request);
  if (place == places_.end()) return;
  std::set<Waiting>& queue = tier(job.tier).tenants.at(job.tenant).queue;
  queue.erase(place->second.waiting);
  place->second.waiting = {job.deadline, job.arrival, job.request};
  queue.insert(place->second.waiting);
}

bool Policy::erase(RequestId request) {
  auto place = places_.find(request);
  if (place == places_.end()) return false;
  TierState& state = tier(place->second.tier);
  state.tenants.at(place->second.tenant).queue.erase(place->second.waiting);
  if (--state.queued == 0) state.owed_percent = 0;
  places_.erase(place);
  forget_idle(state);
  return true;
}

// A tier whose floor is less than one slot is owed one start in 1 / share instead.
bool Policy::below_floor(std::size_t t, std::uint32_t slots) const {
  const TierState& state = tiers_[t];
  if (state.queued == 0 || options_.floor_percent[t] == 0) return false;
  const std::uint64_t floor_slots = std::uint64_t{slots} * options_.floor_percent[t] / 100;
  return floor_slots > 0 ? state.running < floor_slots : state.owed_percent >= 100;
}

std::array<std::size_t, mesh::tier_count> Policy::order(std::uint32_t slots) const {
  std::array<std::size_t, mesh::tier_count> order{};
  std::size_t count = 0;
  for (std::size_t t = mesh::tier_count; t-- > 0;) {
    if (below_floor(t, slots)) order[count++] = t;
  }
  for (std::size_t t = 0; t < mesh::tier_count; ++t) {
    if (!below_floor(t, slots)) order[count++] = t;
  }
  return order;
}

std::optional<RequestId> Policy::pick(std::uint32_t slots,
                                      const std::function<Fit(RequestId)>& fit) {
  std::vector<RequestId> passed;
  bool held = false;
  for (std::size_t t : order(slots)) {
    if (held && t != static_cast<std::size_t>(mesh::Tier::urgent)) continue;
    std::vector<const Tenant*> tenants;
    for (const auto& [name, tenant] : tiers_[t].tenants) {
      if (!tenant.queue.empty()) tenants.push_back(&tenant);
    }
    std::stable_sort(tenants.begin(), tenants.end(),
                     [](const Tenant* a, const Tenant* b) { return a->time < b->time; });
    for (const Tenant* tenant : tenants) {
      const std::optional<RequestId> found = first_fit(*tenant, fit, passed, held);
      if (found) {
        for (RequestId id : passed) ++places_.at(id).passed;
        return found;
      }
      if (held) break;
    }
  }
  return std::nullopt;
}

std::optional<RequestId> Policy::first_fit(const Tenant& tenant,
                                           const std::function<Fit(RequestId)>& fit,
                                           std::vector<RequestId>& passed, bool& held) const {
  for (const Waiting& waiting : tenant.queue) {
    const Fit found = fit(waiting.request);
    if (found == Fit::now) return waiting.request;
    if (found == Fit::nowhere) continue;
    passed.push_back(waiting.request);
    held =
        places_.at(waiting.request).passed >= options_.head_passes || passed.size() >= look_behind;
    if (held) break;
  }
  return std::nullopt;
}

void Policy::started(const Job& job) {
  if (places_.contains(job.request)) {
    std::uint32_t& owed = tier(job.tier).owed_percent;
    owed -= std::min(owed, 100u);
    for (std::size_t t = 0; t < mesh::tier_count; ++t) {
      TierState& other = tiers_[t];
      if (other.queued == 0) continue;
      other.owed_percent = std::min(100u, other.owed_percent + options_.floor_percent[t]);
    }
  }
  TierState& state = tier(job.tier);
  Tenant& tenant = state.tenants[job.tenant];
  ++state.running;
  ++tenant.running;
  erase(job.request);
}

void Policy::ended(const Job& job) {
  TierState& state = tier(job.tier);
  Tenant& tenant = state.tenants.at(job.tenant);
  AORTA_CHECK(tenant.running > 0 && state.running > 0, "only what was started can end");
  --tenant.running;
  --state.running;
  forget_idle(state);
}

void Policy::charge(const Job& job, double cost) {
  auto& tenants = tier(job.tier).tenants;
  auto tenant = tenants.find(job.tenant);
  if (tenant == tenants.end()) return;  // idle and without debts
  auto weight = options_.tenant_weights.find(job.tenant);
  tenant->second.time += cost / (weight == options_.tenant_weights.end() ? 1.0 : weight->second);
}

// Idle tenants whose time push() would raise anyway tell nothing: without this, a name a request
// would be kept for ever. An idle tier has no debts at all.
void Policy::forget_idle(TierState& state) {
  const std::optional<double> least = least_active_time(state.tenants);
  std::erase_if(state.tenants, [&](const auto& entry) {
    const Tenant& tenant = entry.second;
    return tenant.queue.empty() && tenant.running == 0 && (!least || tenant.time <= *least);
  });
}

std::uint32_t Policy::queued(mesh::Tier t) const { return tier(t).queued; }
std::uint32_t Policy::running(mesh::Tier t) const { return tier(t).running; }

double Policy::virtual_time(mesh::Tier t, const std::string& name) const {
  auto tenant = tier(t).tenants.find(name);
  return tenant == tier(t).tenants.end() ? 0 : tenant->second.time;
}

bool Policy::empty() const {
  return std::all_of(tiers_.begin(), tiers_.end(),
                     [](const TierState& s) { return s.queued == 0 && s.running == 0; });
}

std::size_t Policy::tenants() const {
  std::size_t count = 0;
  for (const TierState& state : tiers_) count += state.tenants.size();
  return count;
}

}  // namespace aorta::scheduler
