#include "actors/monitor/balance.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "actors/claims.hpp"

namespace aorta::monitor {
namespace {

using nlohmann::json;

// A number by its path, 0 where there is none: an older service may not say everything.
std::int64_t number(const json& reply, const std::string& pointer) {
  const json::json_pointer at(pointer);
  return reply.contains(at) && reply.at(at).is_number() ? reply.at(at).get<std::int64_t>() : 0;
}

std::string text(const json& reply, const char* key) {
  return reply.contains(key) && reply[key].is_string() ? reply[key].get<std::string>() : "";
}

// The values of a map of counts, or a single count.
std::int64_t sum(const json& reply, const char* key) {
  if (!reply.contains(key)) return 0;
  if (!reply[key].is_object()) return number(reply, std::string("/") + key);
  std::int64_t total = 0;
  for (const auto& [name, value] : reply[key].items()) {
    if (value.is_number()) total += value.get<std::int64_t>();
  }
  return total;
}

mesh::RequestKey key_of(const json& request, const char* id) {
  return {RequestId::parse(text(request, id)).value_or(RequestId{}),
          Epoch{static_cast<std::uint32_t>(number(request, "/epoch"))}};
}

class Audit {
 public:
  void add(const std::string& name, const json& reply) {
    if (!reply.is_object()) {
      balance_.problems.push_back(fmt::format("{} answered what is not an audit", name));
      return;
    }
    note_own_problems(name, reply);
    const std::string service = text(reply, "service");
    if (service == "admission") add_admission(reply);
    if (service == "scheduler") add_scheduler(reply);
    if (service == "executor") add_executor(name, reply);
  }

  Balance finish() {
    const auto& f = balance_.figures;
    const auto value = [&](const char* key) { return f.contains(key) ? f.at(key) : 0; };
    equal(value("accepted") + value("recovered"), value("ended") + value("open"),
          "requests accepted by admissions", "ended or open there");
    equal(value("running"), value("placed"), "requests running on executors",
          "placed by admissions");
    equal(value("scheduler_placed"), value("placed"), "requests placed by the scheduler",
          "placed by admissions");
    equal(value("scheduler_queued"), value("queued"), "requests queued at the scheduler",
          "queued by admissions");
    for (actors::Problem& problem : actors::find_problems(claims_, {})) {
      balance_.problems.push_back(std::move(problem.sentence));
    }
    return std::move(balance_);
  }

 private:
  void note_own_problems(const std::string& name, const json& reply) {
    if (!reply.contains("balanced") || reply["balanced"] != json(false)) return;
    std::string why = "its own counts differ";
    if (reply.contains("problems") && !reply["problems"].empty()) why = reply["problems"].dump();
    balance_.problems.push_back(fmt::format("{} does not balance: {}", name, why));
  }

  void add_admission(const json& reply) {
    auto& f = balance_.figures;
    f["accepted"] += number(reply, "/accepted");
    f["recovered"] += number(reply, "/recovered");
    f["rejected"] += sum(reply, "rejected");
    f["ended"] += sum(reply, "ended");
    f["open"] += sum(reply, "open");
    f["queued"] += number(reply, "/open/queued");
    f["placed"] += number(reply, "/open/placed");
    f["parked"] += number(reply, "/open/parked");
    f["held"] += number(reply, "/held");
    f["epochs"] += sum(reply, "epochs");
    f["epochs_lost"] += sum(reply, "epochs_lost");
    if (!reply.contains("requests")) return;
    for (const json& request : reply["requests"]) claim_open(text(reply, "name"), request);
  }

  void claim_open(const std::string& admission, const json& request) {
    const std::string state = text(request, "state");
    if (state != "queued" && state != "placed" && state != "parked") return;
    const bool placed = state == "placed" && request.contains("epochs") &&
                        request["epochs"].is_array() && !request["epochs"].empty();
    claims_.open.push_back({key_of(request, "id"), admission,
                            placed ? text(request["epochs"].back(), "executor") : std::string(),
                            {}, state == "parked"});
  }

  void add_scheduler(const json& reply) {
    balance_.figures["scheduler_placed"] += number(reply, "/placed");
    balance_.figures["scheduler_queued"] += number(reply, "/queued");
    balance_.figures["scheduler_lost"] += number(reply, "/lost");
    if (!reply.contains("known")) return;  // an older version
    claims_.scheduler = true;
    for (const json& request : reply["known"]) {
      claims_.reservations.push_back({key_of(request, "request"), text(request, "executor")});
    }
    if (!reply.contains("executors")) return;
    for (const json& executor : reply["executors"]) {
      claims_.booked.push_back({text(executor, "name"),
                                static_cast<std::uint32_t>(number(executor, "/slots_used"))});
    }
  }

  void add_executor(const std::string& name, const json& reply) {
    auto& f = balance_.figures;
    const std::int64_t running = number(reply, "/slots_used");
    const std::int64_t blocks = number(reply, "/blocks_used");
    const bool tells = reply.contains("engine_slots_used");
    const std::int64_t held = tells ? number(reply, "/engine_slots_used") : running;
    claims_.executors.push_back({name, static_cast<std::uint32_t>(running),
                                 static_cast<std::uint32_t>(held),
                                 static_cast<std::uint32_t>(blocks)});
    f["executors"] += 1;
    f["running"] += running;
    f["in_flight"] += number(reply, "/in_flight");
    f["blocks_used"] += blocks;
    f["unacked_tokens"] += number(reply, "/unacked_tokens");
    if (!reply.contains("runs")) return;
    for (const json& run : reply["runs"]) {
      claims_.runs.push_back({key_of(run, "request"), name, run.value("finished", false)});
    }
  }

  void equal(std::int64_t a, std::int64_t b, const char* what_a, const char* what_b) {
    if (a == b) return;
    balance_.problems.push_back(fmt::format("{} {}, but {} {}", a, what_a, b, what_b));
  }

  Balance balance_;
  actors::Claims claims_;
};

}  // namespace

Balance check_balance(const std::map<std::string, json>& replies,
                      const std::vector<std::string>& silent) {
  Audit audit;
  for (const auto& [name, reply] : replies) audit.add(name, reply);
  Balance balance = audit.finish();
  for (const std::string& name : silent) {
    balance.problems.push_back(fmt::format("{} did not answer", name));
  }
  return balance;
}

}  // namespace aorta::monitor
