// What admission says of itself: readiness, figures, requests, the audit.
#include <fmt/format.h>

#include <algorithm>

#include "actors/admission/admission.hpp"

namespace aorta::admission {

Readiness Admission::readiness(TimePoint now) const {
  Readiness readiness{.open_requests = shedding_.open()};
  for (const auto& [id, model] : models_) readiness.models.push_back(id);
  const mesh::SchedulerBeat* beat = shedding_.figures(now);
  if (draining_) {
    readiness.reason = "draining: no more requests are taken";
  } else if (const char* trouble = journal_trouble(now)) {
    readiness.reason = fmt::format("the journal cannot be written: {}", trouble);
  } else if (beat == nullptr) {
    readiness.reason = "the scheduler has not been heard from lately";
  } else if (beat->executors_ready == 0) {
    readiness.reason = fmt::format("no executor is ready; {} are coming", beat->executors_coming);
  } else {
    readiness.ready = true;
  }
  return readiness;
}

void Admission::claim(actors::Claims& claims, TimePoint now) const {
  const std::string& name = self().self.name;
  std::uint64_t open = 0;
  for (const auto& [id, request] : table_.all()) {
    const Phase phase = request->phase();
    if (phase == Phase::held || phase == Phase::ended) continue;
    ++open;
    const Placed* placed = request->placed();
    claims.open.push_back({request->key(), name, placed ? placed->executor.name : std::string(),
                           now - request->arrived, phase == Phase::parked});
  }
  // What an earlier life had accepted is this one's to end.
  claims.admissions.push_back(
      {name, tally_.accepted + tally_.recovered, tally_.ended_in_all(), open});
}

const std::string& Admission::name_of_model(const std::string& asked) const {
  return asked.empty() || asked == "default" ? options_.default_model : asked;
}

std::shared_ptr<const engine::TextModel> Admission::text_model(const std::string& name) const {
  const auto entry = models_.find(name_of_model(name));
  return entry == models_.end() ? nullptr : entry->second;
}

std::vector<mesh::Figure> Admission::figures(TimePoint now) const {
  std::vector<mesh::Figure> figures = tally_.figures();
  for (const Phase phase : {Phase::held, Phase::queued, Phase::placed, Phase::parked}) {
    for (std::size_t i = 0; i < mesh::tier_count; ++i) {
      const auto tier = static_cast<mesh::Tier>(i);
      figures.push_back({"aorta_requests_open",
                         fmt::format("state=\"{}\",tier=\"{}\"", name_of(phase), name_of(tier)),
                         double(shedding_.count(phase, tier))});
    }
  }
  const auto gauge = [&](std::string name, double value) {
    figures.push_back({std::move(name), "", value});
  };
  gauge("aorta_ledgers_retained", double(table_.retained()));
  gauge("aorta_ledgers_retained_bytes", double(table_.retained_bytes()));
  gauge("aorta_idempotency_keys", double(table_.keys()));
  gauge("aorta_journal_entries",
        double(std::count_if(table_.all().begin(), table_.all().end(),
                             [](const auto& entry) { return entry.second->journaled; })));
  gauge("aorta_connections_subscribed", double(connections_.size()));
  append_waiting(figures, now);
  if (fronts_figures_) {
    for (mesh::Figure& figure : fronts_figures_()) figures.push_back(std::move(figure));
  }
  return figures;
}

// By model what is open, and how long the first of those that nobody has taken up yet has waited.
void Admission::append_waiting(std::vector<mesh::Figure>& figures, TimePoint now) const {
  std::map<std::string_view, ModelTally::Open> open;
  Duration oldest{};
  for (const auto& [id, request] : table_.active()) {
    const Phase phase = request->phase();
    ModelTally::Open& of_model = open[request->model];
    of_model.running += phase == Phase::placed;
    of_model.waiting += phase == Phase::held || phase == Phase::queued;
    const bool untouched = request->first_placed == never;
    if (untouched) oldest = std::max(oldest, now - request->arrived);
  }
  figures.push_back(
      {"aorta_requests_oldest_wait_seconds", "", std::chrono::duration<double>(oldest).count()});
  for (const auto& [model, tally] : model_tallies_) {
    for (mesh::Figure& figure : tally.figures(model, open[model])) {
      figures.push_back(std::move(figure));
    }
  }
}

std::string Admission::request_json(const std::string& tenant, RequestId id) const {
  std::vector<AuditRecord> choices;
  if (const Request* first = find_for(tenant, id)) {
    for (const Request* choice : table_.choices_of(*first)) choices.push_back(record_of(*choice));
  } else {
    choices = recorded(tenant, id);
  }
  return choices.empty() ? std::string() : to_json(choices);
}

// Of a request that is forgotten: what the audit still has of it.
std::vector<AuditRecord> Admission::recorded(const std::string& tenant, RequestId id) const {
  std::vector<AuditRecord> choices;
  for (const AuditRecord& record : ended_) {
    const bool of_it = choice_id(id, record.choice) == record.id;
    if (of_it && record.tenant == tenant) choices.push_back(record);
  }
  const auto by_choice = [](const AuditRecord& a, const AuditRecord& b) {
    return a.choice < b.choice;
  };
  std::sort(choices.begin(), choices.end(), by_choice);
  return choices;
}

std::string Admission::audit() const {
  return audit_json({peering_.self().self, tally_, shedding_, table_, ended_});
}

}  // namespace aorta::admission
