#include "actors/claims.hpp"

#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>

#include "base/lives.hpp"

namespace aorta::actors {
namespace {

class Finder {
 public:
  Finder(const Claims& claims, Duration place_slack) : claims_(claims), slack_(place_slack) {}

  std::vector<Problem> find() {
    for (const Claims::Admission& admission : claims_.admissions) check(admission);
    for (const Claims::Open& open : claims_.open) index(open);
    for (const Claims::Run& run : claims_.runs) busy_.insert(run.executor);
    for (const Claims::Reservation& one : claims_.reservations) busy_.insert(one.executor);
    for (const Claims::Booked& booked : claims_.booked) check(booked);
    for (const Claims::Executor& executor : claims_.executors) check(executor);
    for (const Claims::Run& run : claims_.runs) check(run);
    for (const Claims::Reservation& reservation : claims_.reservations) check(reservation);
    for (const Claims::Open& open : claims_.open) check(open);
    return std::move(problems_);
  }

 private:
  template <class... Arguments>
  void report(std::string about, fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    problems_.push_back(
        {std::move(about), fmt::format(format, std::forward<Arguments>(arguments)...)});
  }
  static std::string about(const char* what, const std::string& who, const mesh::RequestKey& key) {
    return fmt::format("{} {} {} {}", what, who, key.request.to_string(), key.epoch.value);
  }

  void check(const Claims::Admission& admission) {
    if (admission.accepted == admission.ended + admission.open) return;
    report("count " + admission.name, "{} accepted {} requests, but {} have ended and {} are open",
           admission.name, admission.accepted, admission.ended, admission.open);
  }

  void index(const Claims::Open& open) {
    const auto [it, added] = open_.try_emplace(open.key.request, &open);
    if (added || open.parked) return;
    if (it->second->parked) {
      it->second = &open;
      return;
    }
    report(about("twice", open.admission, open.key), "request {} is open at {} and at {}",
           open.key.request.to_string(), it->second->admission, open.admission);
  }

  void check(const Claims::Executor& executor) {
    if (executor.slots_used == 0 && executor.blocks_used != 0) {
      report("blocks " + executor.name, "{} is idle, but {} KV blocks are in use", executor.name,
             executor.blocks_used);
    }
    if (executor.slots_used != executor.engine_slots_used) {
      report("slots " + executor.name, "{} runs {} requests, but its engine holds {}",
             executor.name, executor.slots_used, executor.engine_slots_used);
    }
  }

  void check(const Claims::Booked& booked) {
    if (booked.slots == 0 || busy_.contains(booked.executor)) return;
    report("booked " + booked.executor, "{} has nothing to do, but {} of its slots are not free",
           booked.executor, booked.slots);
  }

  void check(const Claims::Run& run) {
    const auto it = open_.find(run.key.request);
    if (it == open_.end()) {
      return report(about("ended", run.executor, run.key),
                    "{} still holds request {}, which has ended", run.executor,
                    run.key.request.to_string());
    }
    const Claims::Open& open = *it->second;
    if (open.key == run.key && open.executor == run.executor) {
      running_[run.key.request] = &run;
      return;
    }
    if (run.finished) return;  // it decodes nothing, and waits for an ack
    report(about("stray", run.executor, run.key),
           "{} runs epoch {} of request {}, whose epoch {} is {}", run.executor,
           run.key.epoch.value, run.key.request.to_string(), open.key.epoch.value,
           open.executor.empty() ? "placed nowhere" : "placed on " + open.executor);
  }

  void check(const Claims::Reservation& reservation) {
    const auto it = open_.find(reservation.key.request);
    if (it == open_.end() || it->second->parked) {
      return report(about("forgotten", "scheduler", reservation.key),
                    "the scheduler still knows request {}, which has ended or is parked",
                    reservation.key.request.to_string());
    }
    const Claims::Open& open = *it->second;
    known_[reservation.key.request] = &reservation;
    if (reservation.executor != open.executor) {
      report(about("reserved", "scheduler", reservation.key),
             "the scheduler has request {} on '{}', its admission on '{}'",
             reservation.key.request.to_string(), reservation.executor, open.executor);
    }
    // Of a request that was carried here only the scheduler may know how long it had waited before.
    const Duration longer = reservation.waited - open.waited;
    if (longer < -slack_ || (longer > slack_ && !was_carried(open.key.epoch))) {
      report(about("place", "scheduler", reservation.key),
             "request {} came {} ms ago, but stands in the queue as if it were {} ms",
             reservation.key.request.to_string(), to_ms(open.waited), to_ms(reservation.waited));
    }
  }

  void check(const Claims::Open& open) {
    if (!open.executor.empty() && !running_.contains(open.key.request)) {
      report(about("idle", open.executor, open.key),
             "request {} is placed on {}, which does not run it", open.key.request.to_string(),
             open.executor);
    }
    if (claims_.scheduler && !open.parked && !known_.contains(open.key.request)) {
      report(about("unknown", "scheduler", open.key), "the scheduler does not know request {}",
             open.key.request.to_string());
    }
  }

  const Claims& claims_;
  Duration slack_;
  std::vector<Problem> problems_;
  std::unordered_set<std::string> busy_;  // executors
  std::unordered_map<RequestId, const Claims::Open*> open_;
  std::unordered_map<RequestId, const Claims::Run*> running_;
  std::unordered_map<RequestId, const Claims::Reservation*> known_;
};

}  // namespace

std::vector<Problem> find_problems(const Claims& claims, Duration place_slack) {
  return Finder(claims, place_slack).find();
}

}  // namespace aorta::actors
