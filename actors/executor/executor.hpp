#pragma once
// An engine's place in the mesh: the only authority on its slots. It takes starts from admissions
// under a lease, streams what the engine generates to them until it is acknowledged, and says in
// each heartbeat all that it runs. The engine is outside: its commands are this core's actions,
// its reports this core's events.
//
//   Start ──▶ running ──last token──▶ finished (no slot; the tail awaits its ack) ──▶ forgotten
//                │ Stop, lease run out, newer epoch, drained: the engine stops, forgotten at once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "actors/claims.hpp"
#include "actors/executor/options.hpp"
#include "actors/executor/pack_search.hpp"
#include "actors/executor/step_pace.hpp"
#include "actors/executor/store_search.hpp"
#include "actors/figures.hpp"
#include "base/result.hpp"
#include "engine/engine.hpp"
#include "mesh/link.hpp"
#include "mesh/peering.hpp"
#include "mesh/service.hpp"

namespace aorta::executor {

struct EngineCommand {
  engine::SequenceKey key;
  std::optional<engine::Sequence> start;  // absent: stop
};

class Executor : public mesh::Service {
 public:
  Executor(mesh::Hello self, const ExecutorOptions& options);

  const mesh::Hello& self() const override { return peering_.self(); }
  void start(TimePoint now, mesh::Outbox& out) override;
  void receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
               mesh::Outbox& out) override;
  void unreachable(const mesh::PeerId& peer, TimePoint now, mesh::Outbox& out) override;
  void drain(TimePoint now, mesh::Outbox& out) override;
  void tick(TimePoint now, mesh::Outbox& out) override;
  TimePoint next_tick() const override;

  // ── The engine ─────────────────────────────────────────────────────────────────────────────
  std::optional<LoadCommand> take_load_command();  // open it now; asked after every turn
  void on_engine_ready(const engine::EngineInfo& info, const engine::EngineLoad& load,
                       TimePoint now, mesh::Outbox& out);
  // What its KV blocks occupy, all of one size; asks the cache where the host shares such blocks.
  void share_blocks(std::uint64_t block_bytes, TimePoint now);
  // The store's path, whenever the cache has told it; empty: none. Asked after every turn.
  std::optional<std::string> take_store() { return store_search_.take(); }
  void on_engine_failed(const Error& error, TimePoint now, mesh::Outbox& out);
  // To be carried out in this order; asked after every turn.
  std::vector<EngineCommand> take_engine_commands();
  // After every turn of the engine, also one that only took commands. `turns` grows with each.
  void on_engine(const engine::StepReport& step, const engine::EngineLoad& load,
                 std::uint64_t turns, Duration took, TimePoint now, mesh::Outbox& out);
  void on_start_refused(const engine::SequenceKey& key, const Error& error, TimePoint now,
                        mesh::Outbox& out);

  mesh::ServiceState state() const { return state_; }
  std::vector<mesh::Figure> figures() const;
  std::string audit_json(TimePoint now) const;
  void claim(actors::Claims& claims) const;  // its part of the invariants
  struct RunView {
    const mesh::RequestKey& key;
    const mesh::PeerId& admission;
    bool begun, finished;  // it has generated in this epoch; to its end
  };
  template <class See>
  void each_run(See see) const {
    for (const auto& [id, run] : runs_) {
      see(RunView{run.sender.key(), run.admission, run.begun, run.sender.finished()});
    }
  }

 private:
  struct Run {
    mesh::PeerId admission;
    mesh::TokenSender sender;
    Duration lease{};
    TimePoint lease_until{};
    TimePoint unheard_since{};        // of its last ack, or of the token that waits for one
    bool begun = false;               // a token of this epoch has come
    TokenIndex first;                 // of this epoch
    std::uint32_t tokens = 0;         // that it began with
    std::uint32_t cached_tokens = 0;  // of them, found instead of computed
  };
  struct AdmissionView {
    TimePoint missing_since = never;  // from the membership
  };

  // Messages (executor.cpp).
  void on_membership(const mesh::Membership& membership, TimePoint now, mesh::Outbox& out);
  void greet_new_life(const mesh::PeerId& member, TimePoint now);
  void hang_up_missing(TimePoint now, mesh::Outbox& out);
  void beat(TimePoint now, mesh::Outbox& out);
  void report(TimePoint now, mesh::Outbox& out);
  std::vector<mesh::Figure> model_figures() const;
  void finish_turn(TimePoint now, mesh::Outbox& out);

  // Lives of requests (runs.cpp).
  void on_start(const mesh::PeerId& from, const mesh::Start& start, TimePoint now,
                mesh::Outbox& out);
  void on_ack(const mesh::PeerId& from, const mesh::Ack& ack, TimePoint now, mesh::Outbox& out);
  void on_expect(const mesh::PeerId& from, const mesh::Expect& expect, TimePoint now,
                 mesh::Outbox& out);
  void on_stop(const mesh::Stop& stop);
  Run* find(const mesh::RequestKey& key);
  void forget(const mesh::RequestKey& key);
  void decline(const std::string& admission, const mesh::RequestKey& key, mesh::LostReason reason,
               std::string sentence, mesh::Outbox& out, bool invalid = false);
  void send_tokens(mesh::Outbox& out);
  void expire_leases(TimePoint now, mesh::Outbox& out);
  void resend_unheard(TimePoint now);
  void hand_over(bool finished_too, mesh::Outbox& out);
  std::uint32_t slots_used() const;

  ExecutorOptions options_;
  mesh::Peering peering_;
  mesh::ServiceState state_ = mesh::ServiceState::starting;
  PackSearch pack_search_;
  StoreSearch store_search_;
  engine::EngineInfo info_;
  engine::EngineLoad load_;
  StepPace pace_;
  std::unordered_map<RequestId, Run> runs_;  // of each request its newest life here
  std::vector<EngineCommand> commands_;
  std::map<std::string, AdmissionView> admissions_;
  TimePoint next_beat_ = never, last_beat_{}, next_report_ = never;
  TimePoint drain_until_ = never;
  bool slot_freed_ = false;           // since the last beat
  std::uint64_t scheduler_beat_ = 0;  // count of the last one heard

  std::uint64_t turns_ = 0;
  std::uint64_t stops_pending_ = 0;  // not yet known to have reached the engine
  std::uint64_t started_total_ = 0, generated_total_ = 0, prefill_total_ = 0;
  std::uint64_t preempted_total_ = 0, resent_total_ = 0;
  std::uint64_t asked_tokens_total_ = 0, cached_tokens_total_ = 0;  // of prefills begun
  std::uint64_t drafted_total_ = 0, drafts_kept_total_ = 0;
  actors::Histogram step_tokens_;  // with vLLM's buckets
  std::map<mesh::LostReason, std::uint64_t> declined_total_;
};

}  // namespace aorta::executor
