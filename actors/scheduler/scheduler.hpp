#pragma once
// The matchmaker: it queues requests, places them on executors, knows who is a member, and notices
// who has failed. It carries no prompts and no tokens. All it knows it learns again from
// heartbeats, so restarting it disturbs nobody's stream.
//
//   queued ──place──▶ placed ──executor failed, or does not claim it──▶ lost
//      ▲                 │ Closed: forgotten                             │
//      └──── Submit with the next epoch, at its old place, uncharged ────┘
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "actors/claims.hpp"
#include "actors/scheduler/executors.hpp"
#include "actors/scheduler/members.hpp"
#include "actors/scheduler/options.hpp"
#include "actors/scheduler/policy.hpp"
#include "actors/scheduler/recent_requests.hpp"
#include "mesh/peering.hpp"
#include "mesh/service.hpp"

namespace aorta::scheduler {

class Scheduler : public mesh::Service {
 public:
  Scheduler(mesh::Hello self, const SchedulerOptions& options);

  const mesh::Hello& self() const override { return peering_.self(); }
  void start(TimePoint now, mesh::Outbox& out) override;
  void receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
               mesh::Outbox& out) override;
  void unreachable(const mesh::PeerId& peer, TimePoint now, mesh::Outbox& out) override;
  void drain(TimePoint now, mesh::Outbox& out) override;
  void tick(TimePoint now, mesh::Outbox& out) override;
  TimePoint next_tick() const override;

  std::vector<mesh::Figure> figures(TimePoint now) const;
  std::string audit_json(TimePoint now) const;
  void claim(actors::Claims& claims, TimePoint now) const;  // its part of the invariants
  // What tenants were charged by this life: generated tokens, and prompts at their price.
  double charged() const { return charged_total_; }

 private:
  static constexpr std::uint64_t not_yet = ~std::uint64_t{0};
  struct Request {
    enum class State { queued, placed, lost };
    State state = State::queued;
    mesh::PeerId admission;
    mesh::RequestKey key;
    Job job;
    Need need;
    TokenIndex first;           // index of the first token of this epoch
    std::uint32_t charged = 0;  // generated tokens its tenant has paid for
    bool prompt_charged = false;
    double prompt_paid = 0;  // by this life of ours, while nobody says that it is computed
    // What of the prompt was expected in a cache when it was charged, until its executor has told.
    std::optional<std::uint32_t> prompt_guess;
    std::uint32_t crashes = 0;       // counted ones with it on board
    std::uint32_t absent_beats = 0;  // beats in a row of its admission without it
    // While placed:
    mesh::PeerId executor;
    TimePoint placed_at{};
    std::uint64_t admission_claims = not_yet;  // our beat since which it says so too
    // While lost:
    mesh::LostReason reason{};
    bool counted_crash = false;
    TimePoint told{};  // when Placed or Lost was last sent
  };
  struct AdmissionView {
    mesh::PeerId self;
    std::uint64_t heard = 0;  // the last beat of ours that its last one knew of
    std::set<RequestId> requests;
  };

  // Messages (scheduler.cpp).
  void on_submit(const mesh::PeerId& from, const mesh::Submit& submit, TimePoint now,
                 mesh::Outbox& out);
  void on_hello(const mesh::Hello& hello, TimePoint now, mesh::Outbox& out);
  void on_closed(const mesh::PeerId& from, const mesh::Closed& closed, TimePoint now);
  void on_child_died(const mesh::ChildDied& died, TimePoint now, mesh::Outbox& out);
  void member_gone(const mesh::PeerId& member, mesh::LostReason reason, bool counted_crash,
                   TimePoint now, mesh::Outbox& out);
  std::set<mesh::RequestKey> blamed(const Executor& executor);
  void finish_turn(TimePoint now, mesh::Outbox& out);
  void tell_first_slots(TimePoint now, mesh::Outbox& out);
  void broadcast(mesh::Outbox& out);

  // Lives of a request (requests.cpp).
  void admit(const mesh::PeerId& admission, const mesh::OpenRequest& open, TimePoint now);
  void keep_place(Request& request, const mesh::OpenRequest& open, TimePoint now);
  void dispatch(TimePoint now, mesh::Outbox& out);
  void place(Request& request, TimePoint now, mesh::Outbox& out);
  void adopt(Request& request, const mesh::PeerId& executor, TimePoint now);
  void lose(Request& request, mesh::LostReason reason, bool counted_crash, TimePoint now,
            mesh::Outbox& out);
  void leave_state(Request& request);
  void close(RequestId request, TimePoint now);
  void charge(Request& request, std::uint32_t generated);
  void settle_prompt(Request& request, const mesh::RunningRequest& running);
  void charge_cost(const Request& request, double cost);
  void tell(Request& request, TimePoint now, mesh::Outbox& out);
  Request* find(RequestId request);
  Policy& policy_of(const Request& request);

  // Claims of both sides compared (reconcile.cpp).
  void on_open(const mesh::PeerId& admission, const mesh::OpenRequest& open, bool asked,
               TimePoint now, mesh::Outbox& out);
  void carried_elsewhere(const mesh::PeerId& admission, const mesh::RequestKey& newer,
                         mesh::Outbox& out);
  void tell_earlier_owners(const mesh::PeerId& owner, const std::string& before,
                           const mesh::RequestKey& newer, mesh::Outbox& out);
  void tell_what_was_carried(const mesh::PeerId& admission, mesh::Outbox& out);
  void on_admission_beat(const mesh::PeerId& from, const mesh::AdmissionBeat& beat, TimePoint now,
                         mesh::Outbox& out);
  void on_executor_beat(const mesh::PeerId& from, const mesh::ExecutorBeat& beat, TimePoint now,
                        mesh::Outbox& out);
  void stop_orphans(Executor& executor, TimePoint now, mesh::Outbox& out);
  void lose_unclaimed(Executor& executor, TimePoint now, mesh::Outbox& out);
  void lose_homeless(TimePoint now, mesh::Outbox& out);

  // What others see (figures.cpp).
  mesh::SchedulerBeat beat(TimePoint now) const;
  std::uint32_t executors_coming() const;
  std::uint32_t count(Request::State state) const;

  SchedulerOptions options_;
  mesh::Peering peering_;
  Members members_;
  Executors executors_;
  std::map<std::string, Policy> policies_;  // by model: their slots are not each other's
  std::unordered_map<RequestId, Request> requests_;
  RecentRequests closed_;
  std::map<std::string, AdmissionView> admissions_;
  std::map<std::string, std::uint32_t> node_desired_;  // by node agent
  std::optional<std::uint32_t> desired_;               // by the monitor
  std::set<std::string> draining_;                     // wanted drained by the monitor

  TimePoint settled_at_ = never;
  TimePoint next_beat_ = never;
  std::uint64_t beat_count_;  // of the last one sent
  TimePoint next_membership_{};
  bool was_serving_ = false;
  std::uint32_t slots_known_ = 0;
  TimePoint slots_known_at_{};
  double mean_hold_seconds_ = 0;  // of a slot by a request, smoothed; 0: not known
  std::uint64_t placed_total_ = 0, stops_total_ = 0, closed_total_ = 0;
  double charged_total_ = 0;
  std::uint64_t cached_tokens_total_ = 0;
  std::map<mesh::LostReason, std::uint64_t> lost_total_;
};

}  // namespace aorta::scheduler
