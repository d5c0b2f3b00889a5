// What others see of the scheduler: beats to admissions, metrics, its part of the audit.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "actors/lost_reasons.hpp"
#include "actors/scheduler/scheduler.hpp"

namespace aorta::scheduler {

using mesh::FigureKind;
using mesh::ServiceState;
using mesh::Tier;

namespace {

constexpr std::array<const char*, mesh::tier_count> tier_names{"urgent", "high", "normal"};

}  // namespace

mesh::SchedulerBeat Scheduler::beat(TimePoint now) const {
  mesh::SchedulerBeat beat;
  beat.count = beat_count_;
  beat.slots_total = executors_.slots("");
  beat.slots_known = std::max(slots_known_, beat.slots_total);
  beat.slots_free = executors_.free("", now);
  for (const auto& [name, executor] : executors_.all()) beat.executors_ready += executor.serving();
  beat.executors_coming = executors_coming();
  for (std::size_t t = 0; t < mesh::tier_count; ++t) {
    std::uint32_t queued = 0, running = 0;
    for (const auto& [model, policy] : policies_) {
      queued += policy.queued(static_cast<Tier>(t));
      running += policy.running(static_cast<Tier>(t));
    }
    beat.queued.push_back(queued);
    beat.running.push_back(running);
  }
  // By how long a request holds a slot, not by how many came: an idle minute is not a slow one.
  if (mean_hold_seconds_ > 0) {
    const double per_minute = beat.slots_known * 60 / std::max(mean_hold_seconds_, 1e-3);
    beat.starts_per_minute = static_cast<std::uint32_t>(std::clamp(per_minute, 1.0, 1e9));
  }
  return beat;
}

std::uint32_t Scheduler::executors_coming() const {
  std::uint32_t starting = 0, ready = 0, by_nodes = 0;
  for (const auto& [name, executor] : executors_.all()) {
    starting += executor.state == ServiceState::starting;
    ready += executor.serving();
  }
  for (const auto& [node, desired] : node_desired_) by_nodes += desired;
  const std::uint32_t desired = desired_.value_or(by_nodes);
  return std::max(starting, desired > ready ? desired - ready : 0);
}

std::uint32_t Scheduler::count(Request::State state) const {
  return static_cast<std::uint32_t>(
      std::count_if(requests_.begin(), requests_.end(),
                    [&](const auto& entry) { return entry.second.state == state; }));
}

std::vector<mesh::Figure> Scheduler::figures(TimePoint now) const {
  const mesh::SchedulerBeat beat = this->beat(now);
  std::vector<mesh::Figure> figures{
      {"aorta_scheduler_slots", "", double(beat.slots_total)},
      {"aorta_scheduler_slots_free", "", double(beat.slots_free)},
      {"aorta_scheduler_executors_ready", "", double(beat.executors_ready)},
      {"aorta_scheduler_executors_coming", "", double(beat.executors_coming)},
      {"aorta_scheduler_members", "", double(members_.size())},
      {"aorta_scheduler_hold_seconds", "", mean_hold_seconds_},
      {"aorta_scheduler_placed_total", "", double(placed_total_), FigureKind::counter},
      {"aorta_scheduler_charged_total", "", charged_total_, FigureKind::counter},
      {"aorta_scheduler_cached_tokens_total", "", double(cached_tokens_total_),
       FigureKind::counter},
      {"aorta_scheduler_closed_total", "", double(closed_total_), FigureKind::counter},
      {"aorta_scheduler_orphans_stopped_total", "", double(stops_total_), FigureKind::counter},
  };
  for (std::size_t t = 0; t < mesh::tier_count; ++t) {
    const std::string label = fmt::format("tier=\"{}\"", tier_names[t]);
    figures.push_back({"aorta_scheduler_queued", label, double(beat.queued[t])});
    figures.push_back({"aorta_scheduler_running", label, double(beat.running[t])});
  }
  actors::append_by_reason(figures, "aorta_scheduler_lost_total", lost_total_);
  return figures;
}

void Scheduler::claim(actors::Claims& claims, TimePoint now) const {
  claims.scheduler = true;
  for (const auto& [id, request] : requests_) {
    const bool placed = request.state == Request::State::placed;
    claims.reservations.push_back(
        {request.key, placed ? request.executor.name : std::string(), now - request.job.arrival});
  }
  for (const auto& [name, executor] : executors_.all()) {
    claims.booked.push_back({name, executor.used()});
  }
}

// Balanced: the queues hold exactly the queued, the slots exactly the placed.
std::string Scheduler::audit_json(TimePoint now) const {
  const mesh::SchedulerBeat beat = this->beat(now);
  nlohmann::json executors = nlohmann::json::array();
  std::size_t placements = 0;
  for (const auto& [name, e] : executors_.all()) {
    placements += e.placed.size();
    executors.push_back({{"name", name},
                         {"incarnation", e.self.incarnation.value},
                         {"ready", e.serving()},
                         {"stalled", e.stalled},
                         {"slots_total", e.slots_total},
                         {"slots_used", e.used()},
                         {"slots_free", e.free(now)},
                         {"blocks_total", e.blocks_total},
                         {"blocks_used", e.blocks_used},
                         {"blocks_cached", e.blocks_cached},
                         {"placed", e.placed.size()},
                         {"orphans", e.orphans.size()}});
  }
  std::uint32_t queued = 0, running = 0;
  for (std::size_t t = 0; t < mesh::tier_count; ++t) {
    queued += beat.queued[t];
    running += beat.running[t];
  }
  const std::uint32_t placed = count(Request::State::placed);
  std::uint32_t homeless = 0;
  for (const auto& [id, request] : requests_) {
    if (request.state != Request::State::placed) continue;
    auto executor = executors_.all().find(request.executor.name);
    homeless +=
        executor == executors_.all().end() || !executor->second.placed.contains(request.key);
  }
  nlohmann::json known = nlohmann::json::array();
  for (const auto& [id, request] : requests_) {
    const bool is_placed = request.state == Request::State::placed;
    known.push_back({{"request", id.to_string()},
                     {"epoch", request.key.epoch.value},
                     {"executor", is_placed ? request.executor.name : ""}});
  }
  const bool balanced = queued == count(Request::State::queued) && running == placed &&
                        placements + homeless == placed;
  return nlohmann::json{
      {"service", "scheduler"}, {"name", self().self.name},   {"requests", requests_.size()},
      {"queued", queued},       {"placed", placed},           {"lost", count(Request::State::lost)},
      {"homeless", homeless},   {"members", members_.size()}, {"executors", executors},
      {"known", known},         {"balanced", balanced}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace aorta::scheduler
