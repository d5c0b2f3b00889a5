#include "actors/admission/shedding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/result.hpp"

namespace aorta::admission {
namespace {

std::uint32_t of_tier(const std::vector<std::uint32_t>& figures, std::size_t tier) {
  return tier < figures.size() ? figures[tier] : 0;
}

constexpr std::size_t index_of(mesh::Tier tier) { return static_cast<std::size_t>(tier); }
constexpr std::size_t index_of(Phase phase) { return static_cast<std::size_t>(phase); }

}  // namespace

Shedding::Shedding(const AdmissionOptions& options) : options_(options) {}

void Shedding::observe(const mesh::SchedulerBeat& beat, TimePoint now) {
  const bool none = beat.executors_ready == 0 && beat.executors_coming == 0;
  const bool known = none_since_ != never && figures(now) != nullptr;
  if (!none || !known) none_since_ = none ? now : never;
  beat_ = beat;
  beat_at_ = now;
  beat_known_ = true;
  blind_ = 0;
}

const mesh::SchedulerBeat* Shedding::figures(TimePoint now) const {
  const auto stale = std::chrono::milliseconds(options_.beat_stale_ms);
  return beat_known_ && now - beat_at_ <= stale ? &beat_ : nullptr;
}

void Shedding::taken(std::uint32_t choices, TimePoint now) {
  if (figures(now) == nullptr) blind_ += choices;
}

Verdict Shedding::refuse(int status, std::string code, std::string message, double wait_ms,
                         std::uint64_t jitter) const {
  const double least = options_.retry_after_least_ms, most = options_.retry_after_most_ms;
  const double spread = 1 + static_cast<double>(jitter % 256) / 1024;  // up to a quarter more
  Verdict verdict{Verdict::Kind::refuse};
  verdict.status = status;
  verdict.code = std::move(code);
  verdict.message = std::move(message);
  verdict.retry_after_ms =
      static_cast<std::uint32_t>(std::clamp(wait_ms, least, std::max(least, most)) * spread);
  return verdict;
}

Verdict Shedding::judge(const Demand& demand, TimePoint now) const {
  if (open_ + demand.choices > options_.open_requests) {
    return refuse(503, "queue_full",
                  fmt::format("{} of {} places for open requests are taken, and this one needs {}. "
                              "Try again later.",
                              open_, options_.open_requests, demand.choices),
                  0, demand.jitter);
  }
  auto load = tenants_.find(demand.tenant);
  const std::uint32_t own = load == tenants_.end() ? 0 : load->second.open;
  if (own + demand.choices > options_.open_per_tenant) {
    return refuse(429, "tenant_queue_full",
                  fmt::format("Tenant '{}' has {} open requests, {} are the most it may have, and "
                              "this one counts {}. Wait for one to end.",
                              demand.tenant, own, options_.open_per_tenant, demand.choices),
                  0, demand.jitter);
  }
  const mesh::SchedulerBeat* beat = figures(now);
  if (beat == nullptr) {
    if (demand.promised || blind_ + demand.choices <= options_.blind_requests) return {};
    return refuse(503, "scheduler_silent",
                  "The scheduler has not been heard from lately, and no more requests are taken "
                  "without it. Try again later.",
                  0, demand.jitter);
  }
  return judge_figures(*beat, demand);
}

bool Shedding::abandoned(mesh::Tier tier, TimePoint now) const {
  if (none_since_ == never || figures(now) == nullptr) return false;
  // No shorter than a newcomer would be held: whoever restarts all executors refuses nobody.
  const std::uint32_t wait_ms = std::max(options_.max_wait_ms[index_of(tier)], options_.hold_ms);
  return now - none_since_ >= std::chrono::milliseconds(wait_ms);
}

Verdict Shedding::judge_held(TimePoint now) const {
  const mesh::SchedulerBeat* beat = figures(now);
  return beat == nullptr ? Verdict{Verdict::Kind::hold} : judge_executors(*beat);
}

Verdict Shedding::judge_executors(const mesh::SchedulerBeat& beat) const {
  if (beat.executors_ready > 0) return {};
  if (beat.executors_coming > 0) return {Verdict::Kind::hold};
  return refuse(503, "no_executor",
                "No executor is running and none is wanted: start some, for example with "
                "`aorta scale executors=1`.",
                0, 0);
}

Verdict Shedding::judge_figures(const mesh::SchedulerBeat& beat, const Demand& demand) const {
  const mesh::Tier tier = demand.tier;
  const double most_wait_ms = std::min<double>(options_.max_wait_ms[index_of(tier)],
                                               static_cast<double>(to_ms(demand.remaining)));
  Verdict verdict = judge_executors(beat);
  if (verdict.kind == Verdict::Kind::refuse) return verdict;
  if (verdict.kind == Verdict::Kind::hold) {
    const double hold_ms = std::min<double>(most_wait_ms, options_.hold_ms);
    verdict.hold = std::chrono::milliseconds(static_cast<std::int64_t>(hold_ms));
    return verdict;
  }
  if (demand.promised) return {};
  const std::uint64_t slots = std::max(beat.slots_total, beat.slots_known);
  if (tier == mesh::Tier::urgent && slots > 0) {
    // The beat counts all admissions' but is a little old; ours are exact.
    const std::uint64_t urgent =
        std::max<std::uint64_t>(of_tier(beat.queued, 0) + of_tier(beat.running, 0),
                                count(Phase::queued, tier) + count(Phase::placed, tier));
    if ((urgent + demand.choices - 1) * 100 >= slots * options_.urgent_share_percent) {
      return refuse(503, "urgent_tier_full",
                    fmt::format("{} urgent requests are open, and no more than {} % of {} slots "
                                "are theirs. Try again later or ask for tier high.",
                                urgent, options_.urgent_share_percent, slots),
                    60e3 / std::max(1u, beat.starts_per_minute), demand.jitter);
    }
  }
  const double wait_ms = predicted_wait_ms(beat, demand);
  if (wait_ms > most_wait_ms) {
    return refuse(503, "overloaded",
                  fmt::format("Too many requests wait: this one would start in about {:.0f} s, and "
                              "{:.0f} s is the most it may wait. Try again later.",
                              wait_ms / 1e3, most_wait_ms / 1e3),
                  wait_ms - most_wait_ms, demand.jitter);
  }
  return {};
}

// Until the last choice starts, in starts of a request each: the tenant's own queue, which shares
// its tier with the other active tenants, and everything in higher tiers. Tenants are known of this
// admission alone, tiers of all.
double Shedding::predicted_wait_ms(const mesh::SchedulerBeat& beat, const Demand& demand) const {
  if (beat.starts_per_minute == 0) return 0;  // not measured yet: the limits alone hold
  const std::size_t tier = index_of(demand.tier);
  std::uint64_t ahead = 0;
  for (std::size_t higher = 0; higher < tier; ++higher) {
    ahead += std::max(of_tier(beat.queued, higher), counts_[index_of(Phase::queued)][higher]);
  }
  auto load = tenants_.find(demand.tenant);
  const std::uint64_t own =
      (load == tenants_.end() ? 0 : load->second.queued[tier]) + (demand.choices - 1);
  ahead += own * std::max(1u, active_tenants_[tier]);
  ahead -= std::min<std::uint64_t>(ahead, beat.slots_free);
  return static_cast<double>(ahead) * 60e3 / beat.starts_per_minute;
}

void Shedding::entered(const Request& request) {
  if (request.phase() == Phase::ended) return;
  const std::size_t tier = index_of(request.tier);
  ++counts_[index_of(request.phase())][tier];
  ++open_;
  Tenant& tenant = tenants_[request.tenant];
  ++tenant.open;
  if (request.phase() == Phase::queued && ++tenant.queued[tier] == 1) ++active_tenants_[tier];
}

void Shedding::left(const Request& request) {
  if (request.phase() == Phase::ended) return;
  const std::size_t tier = index_of(request.tier);
  auto tenant = tenants_.find(request.tenant);
  AORTA_CHECK(open_ > 0 && tenant != tenants_.end(), "a request leaves only what it entered");
  --counts_[index_of(request.phase())][tier];
  --open_;
  if (request.phase() == Phase::queued && --tenant->second.queued[tier] == 0) {
    --active_tenants_[tier];
  }
  if (--tenant->second.open == 0) tenants_.erase(tenant);
}

std::uint32_t Shedding::count(Phase phase, mesh::Tier tier) const {
  return counts_[index_of(phase)][index_of(tier)];
}

std::uint32_t Shedding::count(Phase phase) const {
  const auto& tiers = counts_[index_of(phase)];
  return std::accumulate(tiers.begin(), tiers.end(), 0u);
}

}  // namespace aorta::admission
