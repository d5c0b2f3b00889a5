#include "actors/admission/audit.hpp"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

namespace aorta::admission {
namespace {

using Json = nlohmann::ordered_json;

// Tenants and sentences may come from outside: bytes that are not UTF-8 must not throw.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json json_of(const AuditRecord& record) {
  Json epochs = Json::array();
  for (const EpochRecord& epoch : record.epochs) {
    Json entry{{"epoch", epoch.epoch.value},
               {"executor", epoch.executor},
               {"first_index", epoch.first.value},
               {"cached_tokens", epoch.cached_tokens}};
    if (epoch.lost) entry["lost"] = name_of(*epoch.lost);
    epochs.push_back(std::move(entry));
  }
  Json json{{"id", record.id.to_string()},           {"tenant", record.tenant},
            {"tier", name_of(record.tier)},          {"state", record.state},
            {"prompt_tokens", record.prompt_tokens}, {"tokens", record.tokens},
            {"epoch", record.epoch.value},           {"epochs", std::move(epochs)}};
  if (record.choices > 1) json["choice"] = record.choice;
  if (!record.code.empty()) json["code"] = record.code;
  if (!record.message.empty()) json["message"] = record.message;
  return json;
}

// Counted from the requests themselves, to be compared with the running counts.
std::array<std::uint64_t, phase_count> count_phases(const RequestTable& table) {
  std::array<std::uint64_t, phase_count> counts{};
  for (const auto& [id, request] : table.all()) {
    ++counts[static_cast<std::size_t>(request->phase())];
  }
  return counts;
}

Json find_problems(const AuditInput& input, const std::array<std::uint64_t, phase_count>& counts) {
  Json problems = Json::array();
  std::uint64_t open = 0;
  for (Phase phase : {Phase::held, Phase::queued, Phase::placed, Phase::parked}) {
    const std::uint64_t counted = counts[static_cast<std::size_t>(phase)];
    if (phase != Phase::held) open += counted;
    if (counted != input.shedding.count(phase)) {
      problems.push_back(fmt::format("{} requests are {}, but {} are counted", counted,
                                     name_of(phase), input.shedding.count(phase)));
    }
  }
  const std::uint64_t begun = input.tally.accepted + input.tally.recovered;
  if (begun != input.tally.ended_in_all() + open) {
    problems.push_back(fmt::format("{} accepted and {} recovered, but {} ended and {} open",
                                   input.tally.accepted, input.tally.recovered,
                                   input.tally.ended_in_all(), open));
  }
  return problems;
}

}  // namespace

AuditRecord record_of(const Request& request) {
  AuditRecord record{.id = request.id,
                     .choice = request.choice(),
                     .choices = request.choices,
                     .tenant = request.tenant,
                     .tier = request.tier,
                     .state = std::string(name_of(request.phase())),
                     .prompt_tokens = request.ledger.usage().prompt_tokens,
                     .tokens = request.ledger.next().value,
                     .epoch = request.epoch,
                     .epochs = request.epochs};
  if (request.dormant()) {
    record.state = request.ended_before->outcome.name();
    record.tokens = request.ended_before->tokens.value;
  }
  if (const auto& outcome = request.ledger.outcome()) {
    record.state = outcome->name();
    record.code = outcome->code;
    record.message = outcome->message;
  }
  return record;
}

std::string to_json(const std::vector<AuditRecord>& choices) {
  if (choices.size() == 1) return dump(json_of(choices.front()));
  Json json{{"id", choices.front().id.to_string()}, {"choices", Json::array()}};
  for (const AuditRecord& record : choices) json["choices"].push_back(json_of(record));
  return dump(json);
}

namespace {

Json by_name(const std::map<mesh::LostReason, std::uint64_t>& lost) {
  Json json = Json::object();
  for (const auto& [reason, count] : lost) json[std::string(name_of(reason))] = count;
  return json;
}

}  // namespace

std::string audit_json(const AuditInput& input) {
  const auto counts = count_phases(input.table);
  const auto count = [&](Phase phase) { return counts[static_cast<std::size_t>(phase)]; };
  const Json problems = find_problems(input, counts);
  Json requests = Json::array();
  for (const AuditRecord& record : input.ended) requests.push_back(json_of(record));
  for (const auto& [id, request] : input.table.all()) {
    if (request->phase() != Phase::ended) requests.push_back(json_of(record_of(*request)));
  }
  const Tally& tally = input.tally;
  return dump(Json{{"service", "admission"},
                   {"name", input.self.name},
                   {"incarnation", input.self.incarnation.value},
                   {"balanced", problems.empty()},
                   {"problems", problems},
                   {"accepted", tally.accepted},
                   {"recovered", tally.recovered},
                   {"rejected", tally.rejected},
                   {"ended", tally.ended},
                   {"open",
                    {{"queued", count(Phase::queued)},
                     {"placed", count(Phase::placed)},
                     {"parked", count(Phase::parked)}}},
                   {"held", count(Phase::held)},
                   {"tokens", tally.tokens},
                   {"epochs", tally.epochs},
                   {"epochs_lost", by_name(tally.lost)},
                   {"retained", input.table.retained()},
                   {"retained_bytes", input.table.retained_bytes()},
                   {"requests", std::move(requests)}});
}

}  // namespace aorta::admission
