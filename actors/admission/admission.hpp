#pragma once
// The core of admission: owns the clients and their requests' ledgers. It takes requests or refuses
// them early, has them placed by the scheduler, follows them from executor to executor, and tells
// each subscriber each token once and each end once.
//
// Where to read on: admission.cpp (messages, time, leaving), admission_clients.cpp (what comes in),
// admission_connections.cpp (reading on, cancelling, leaving), admission_delivery.cpp (what clients
// are told), admission_journal.cpp (what outlives it), admission_carried.cpp (what goes to another
// admission and comes back), admission_epochs.cpp (the lives of a request on executors),
// admission_views.cpp (figures).
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "actors/admission/ack_book.hpp"
#include "actors/admission/audit.hpp"
#include "actors/admission/client.hpp"
#include "actors/admission/journal.hpp"
#include "actors/admission/model_tally.hpp"
#include "actors/admission/options.hpp"
#include "actors/admission/request_table.hpp"
#include "actors/admission/shedding.hpp"
#include "actors/admission/tally.hpp"
#include "actors/claims.hpp"
#include "base/result.hpp"
#include "mesh/peering.hpp"
#include "mesh/service.hpp"

namespace aorta::admission {

class Admission final : public mesh::Service {
 public:
  using Models = std::map<std::string, std::shared_ptr<const engine::TextModel>>;

  // `self.address`: where executors dial. `models`: what is served, by id.
  Admission(mesh::Hello self, AdmissionOptions options, Models models);

  const mesh::Hello& self() const override { return peering_.self(); }
  void start(TimePoint now, mesh::Outbox& out) override;
  void receive(const mesh::Sender& from, const mesh::Message& message, TimePoint now,
               mesh::Outbox& out) override;
  void unreachable(const mesh::PeerId& peer, TimePoint now, mesh::Outbox& out) override;
  void drain(TimePoint now, mesh::Outbox& out) override;
  void tick(TimePoint now, mesh::Outbox& out) override;
  TimePoint next_tick() const override;

  // What fronts ask: ClientPort, with the time and the outbox of the turn.
  void generate(ConnectionId connection, GenerateRequest ask, TimePoint now, mesh::Outbox& out);
  void cancel(ConnectionId connection, const std::string& tenant, RequestId id, TimePoint now,
              mesh::Outbox& out);
  void resume(ConnectionId connection, ResumeRequest resume, TimePoint now, mesh::Outbox& out);
  // By indices alone.
  void resume(ConnectionId connection, const std::string& tenant, RequestId id,
              const std::vector<TokenIndex>& next, TimePoint now, mesh::Outbox& out);
  void gone(ConnectionId connection, TimePoint now, mesh::Outbox& out);
  void hold(ConnectionId connection, bool held, TimePoint now, mesh::Outbox& out);

  struct ClientOutput {
    ConnectionId connection;
    ClientEvent event;
  };
  // What clients are to be told since the last call, in order.
  std::vector<ClientOutput> take_client_events() { return std::exchange(events_, {}); }

  // ── The journal ────────────────────────────────────────────────────────────────────────────
  // To be carried out in this order; asked after every turn.
  std::vector<JournalCommand> take_journal_commands() { return std::exchange(journal_, {}); }
  // These were written, or could not be: what failed is refused, and the next one tried as ever.
  void on_journal(const std::vector<RequestId>& requests, const Result<void>& written,
                  TimePoint now, mesh::Outbox& out);
  // It can be written no more, or again. Until the first call it can.
  void on_journal_state(const Result<void>& state) { journal_state_ = state; }
  // What an earlier life has left, before start() or, if it could not be read then, later.
  Recovered recover(std::vector<JournalEntry> entries, TimePoint now);

  Readiness readiness(TimePoint now) const;
  std::shared_ptr<const engine::TextModel> text_model(const std::string& name) const;
  std::vector<mesh::Figure> figures(TimePoint now) const;
  // What the fronts have to report goes with it.
  void also_report(std::function<std::vector<mesh::Figure>()> fronts_figures) {
    fronts_figures_ = std::move(fronts_figures);
  }
  std::string request_json(const std::string& tenant, RequestId id) const;
  std::string audit() const;
  void claim(actors::Claims& claims, TimePoint now) const;  // its part of the invariants
  const RequestTable& requests() const { return table_; }

 private:
  const std::string& name_of_model(const std::string& asked) const;
  void append_waiting(std::vector<mesh::Figure>& figures, TimePoint now) const;
  std::vector<AuditRecord> recorded(const std::string& tenant, RequestId id) const;

  struct Connection {
    bool held = false;
    std::set<RequestId> requests;  // it is subscribed to
  };

  // Messages and time.
  void dispatch(const mesh::PeerId& from, const mesh::Message& message, TimePoint now,
                mesh::Outbox& out);
  void on_scheduler_message(const mesh::Message& message, TimePoint now, mesh::Outbox& out);
  void on_executor_message(const mesh::PeerId& from, const mesh::Message& message, TimePoint now,
                           mesh::Outbox& out);
  void on_alarm(Request& request, TimePoint now, mesh::Outbox& out);
  bool speaks_for_those_waiting(const Request& request) const;
  TimePoint wake(const Request& request) const;
  void enter(Request& request, State state);
  void beat(TimePoint now, mesh::Outbox& out);
  void report(TimePoint now, mesh::Outbox& out);
  void settle(TimePoint now, mesh::Outbox& out);  // last in every turn
  void leave(TimePoint now, mesh::Outbox& out);
  mesh::ServiceState state() const;

  // Clients. `first`: a request's first choice, which stands for all of them.
  bool any_known(RequestId id, std::uint32_t choices) const;
  const Request* find_for(const std::string& tenant, RequestId id) const;
  // What came with a request that is new here.
  struct Arrival {
    GenerateRequest ask;
    std::vector<Cursor> cursors;  // as in ResumeRequest
    bool carried = false;         // another admission had accepted it
    std::uint32_t life = 0;
    Cursor cursor(std::size_t choice) const {
      return choice < cursors.size() ? cursors[choice] : Cursor{};
    }
  };
  bool repeated(ConnectionId connection, const Arrival& arrival, TimePoint now, mesh::Outbox& out);
  void take(ConnectionId connection, Arrival arrival, TimePoint now, mesh::Outbox& out);
  void admit(ConnectionId connection, Arrival arrival, std::string model, Duration hold,
             TimePoint now, mesh::Outbox& out);
  Request& enroll(ConnectionId connection, std::unique_ptr<Request> request, const Cursor& at);
  void accept(Request& first, TimePoint now, mesh::Outbox& out);
  void promise(const Request& first, TimePoint now, mesh::Outbox& out);
  void go_on(ConnectionId connection, ResumeRequest resume, const Request& first, TimePoint now,
             mesh::Outbox& out);
  // A client that waits for its request's record to say that it is back (admission_carried.cpp).
  struct Return {
    ConnectionId connection;
    ResumeRequest resume;
    std::uint32_t life = 0;
    TimePoint until;
  };
  bool was_elsewhere(const Request& first, std::uint32_t life) const;
  void bring_home(ConnectionId connection, ResumeRequest resume, const Request& first,
                  TimePoint now, mesh::Outbox& out);
  void come_home(Return back, const Result<void>& written, TimePoint now, mesh::Outbox& out);
  void take_over(const Request& first, std::uint32_t life, TimePoint now, mesh::Outbox& out);
  void give_up_returns(TimePoint now);
  void read_on(ConnectionId connection, ResumeRequest resume, TimePoint now, mesh::Outbox& out);
  void hand_over(const Request& request, TimePoint now, mesh::Outbox& out);
  // What the journal was asked to write.
  struct Asked {
    RequestId request;
    TimePoint at;                // when it was asked
    std::optional<Return> back;  // else to be accepted
    bool wanted = true;          // somebody waits for it
  };
  bool journal_is_stuck() const;
  // Why it cannot be relied on now, else null.
  const char* journal_trouble(TimePoint now) const;
  void ask_journal(JournalRecord record, TimePoint now, std::optional<Return> back);
  void unwant(const std::function<bool(const Asked&)>& which);
  void write_down(Request& first, TimePoint now);
  void answer_held(Request& first, const Result<void>& written, TimePoint now, mesh::Outbox& out);
  void bring_back(JournalEntry entry, std::shared_ptr<const engine::TextModel> model,
                  TimePoint now);
  void make_room(std::uint32_t choices, TimePoint now, mesh::Outbox& out);
  void note_numerics(const Request& request, const std::string& numerics_id);
  void note_end(const Request& request, TimePoint now);
  void erase_record(const Request& first);
  void revive(Request& request);
  static const char* reason_of(const Error& error);
  Verdict journal_verdict(const char* reason) const;
  static constexpr const char* slow_journal = "it takes too long to write";
  void release_held(TimePoint now, mesh::Outbox& out);
  void reject(ConnectionId connection, Rejected rejected);
  void reject_verdict(ConnectionId connection, RequestId id, const Verdict& verdict);
  void refuse_held(const Request& request, const Verdict& verdict);
  void attach(ConnectionId connection, const std::vector<Cursor>& cursors, const Request& first,
              TimePoint now, mesh::Outbox& out);
  void refuse_diverged(ConnectionId connection, const Request& first, TimePoint now,
                       mesh::Outbox& out);
  void unlink(ConnectionId connection, RequestId id);
  void lost_its_clients(Request& request, TimePoint now, mesh::Outbox& out);
  bool publish(Request& request);
  void end(Request& request, Outcome outcome, TimePoint now, mesh::Outbox& out);
  void retain_if_over(const Request& request, TimePoint now);
  void forget(const Request& request, const Outcome& unread);
  void emit(ConnectionId connection, ClientEvent event);
  void emit_accepted(ConnectionId connection, const Request& first);
  void emit_ending(ConnectionId connection, const Request& request);
  void emit_failed(ConnectionId connection, const Request& request, const Outcome& outcome);
  Verdict draining_verdict() const;
  TimePoint deadline_of(const GenerateRequest& ask, TimePoint now) const;

  // Lives on executors.
  void submit(const Request& request, TimePoint now, mesh::Outbox& out);
  void send_closed(const Request& request, mesh::Outbox& out);
  void begin_epoch(Request& request);
  bool worn_out(Request& request, TimePoint now, mesh::Outbox& out);
  void on_placed(const mesh::Placed& placed, TimePoint now, mesh::Outbox& out);
  void on_lost(const mesh::Lost& lost, TimePoint now, mesh::Outbox& out);
  void on_tokens(const mesh::PeerId& from, const mesh::Tokens& tokens, TimePoint now,
                 mesh::Outbox& out);
  void on_run(Request& request, const mesh::TokenRun& run, const std::string& numerics_id,
              TimePoint now, mesh::Outbox& out);
  void on_declined(const mesh::PeerId& from, const mesh::Declined& declined, TimePoint now,
                   mesh::Outbox& out);
  void on_executor_joined(const mesh::PeerId& executor, TimePoint now, mesh::Outbox& out);
  void executor_gone(const mesh::PeerId& executor, mesh::LostReason reason, TimePoint now,
                     mesh::Outbox& out);
  void try_unconnected(mesh::Outbox& out);
  void reach(const mesh::PeerId& executor, mesh::Outbox& out);
  void send_start(Request& request, mesh::Outbox& out);
  void leave_executor(Request& request, mesh::Outbox& out);
  void lose(Request& request, mesh::LostReason reason, TimePoint now, mesh::Outbox& out);
  void park(Request& request, TimePoint now, mesh::Outbox& out);
  void unpark(Request& request, TimePoint now, mesh::Outbox& out);
  void send_acks(TimePoint now, mesh::Outbox& out);
  bool connected(const mesh::PeerId& executor) const;
  bool crashed_too_often(Request& request, const mesh::Lost& lost) const;
  static bool cut_again(const Request& request, mesh::TokenReceiver::Accepted& accepted);
  void note_cached(Request& request, const mesh::TokenRun& run);
  void note_latency(Request& request, std::size_t tokens, TimePoint now);

  inline static const mesh::PeerId scheduler{"scheduler", {}};  // we dialled them: any incarnation
  inline static const mesh::PeerId monitor{"monitor", {}};
  const AdmissionOptions options_;
  const Models models_;
  mesh::Peering peering_;
  RequestTable table_;
  Shedding shedding_;
  AckBook acks_;
  Tally tally_;
  std::map<std::string, ModelTally> model_tallies_;
  std::function<std::vector<mesh::Figure>()> fronts_figures_;
  std::deque<AuditRecord> ended_;  // the latest
  std::deque<RequestId> held_;     // in order of arrival; may name some that are held no more
  std::vector<JournalCommand> journal_;
  std::deque<Asked> asked_;    // and not answered yet
  std::size_t returning_ = 0;  // of them: wanted, and somebody is to come back
  Result<void> journal_state_;
  std::deque<RequestId> unclaimed_;  // brought back, the first choices; may name some that are not
  std::map<ConnectionId, Connection> connections_;
  std::vector<ClientOutput> events_;
  std::uint64_t membership_version_ = 0;
  std::uint64_t scheduler_beat_ = 0;  // count of the last one heard
  TimePoint next_beat_ = never;
  TimePoint next_report_ = never;
  bool draining_ = false;
  TimePoint drain_until_ = never;
  bool left_ = false;
};

}  // namespace aorta::admission
