#pragma once
// A whole mesh in one thread: real cores, codec and link, simulated network, clock and engines.
// One seed decides everything and replays it.
//
//   World world(seed, options);
//   world.run();               faults for a while, then none until everybody has an answer
//   world.violation()          the first thing that must not have happened, empty when all is well
//
// world.cpp builds and runs it, client_plan.cpp has who asks for what, fault_plan.cpp when what
// befalls it, faults.cpp what that does, checks.cpp what must hold.
#include <map>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "actors/claims.hpp"
#include "actors/monitor/monitor.hpp"
#include "actors/scheduler/scheduler.hpp"
#include "tests/sim/block_store.hpp"
#include "tests/sim/cache_process.hpp"
#include "tests/sim/client.hpp"
#include "tests/sim/coverage.hpp"
#include "tests/sim/executor_process.hpp"
#include "tests/sim/node_process.hpp"
#include "tests/sim/options.hpp"

namespace aorta::sim {

struct Tally {
  std::uint64_t seeds = 0, events = 0, messages = 0, faults = 0, requests = 0, tokens = 0;
  std::uint64_t epochs = 0, checks = 0, virtual_ms = 0;
  std::uint64_t cached = 0, fetched = 0;  // tokens found by engines; of them, blocks by the store
  std::uint64_t drafted = 0, drafts_kept = 0;
  std::map<std::string, int> outcomes;  // of clients
  Coverage coverage;
  void add(const Tally& other);
};

class World {
 public:
  World(std::uint64_t seed, WorldOptions options);
  ~World();
  void run();
  const std::string& violation() const { return violation_; }
  const Tally& tally() const { return tally_; }
  // The story so far, line by line (options.trace).
  const std::string& story() const { return story_; }
  int faults_planned() const { return strikes_; }
  int clients_planned() const { return clients_planned_; }

  struct FaultKind {
    const char* name;
    double Faults::*expected;
    void (*strike)(World&, Random&);  // draws its victim
  };
  static std::span<const FaultKind> fault_kinds();

 private:
  using SchedulerProcess = CoreProcess<scheduler::Scheduler>;
  using MonitorProcess = CoreProcess<monitor::Monitor>;

  // Building.
  void build();
  void build_node();
  void draw_options();
  ExecutorProcess& add_executor(const std::string& name);
  ExecutorProcess* free_seat(const std::string& name);
  NodeProcess::Started start_child(const std::string& name);
  void signal_child(const node::SignalChild& signal);
  void child_died(ExecutorProcess& executor);
  void orphan_children();
  void restart(Process& process, Duration least, Duration most);
  bool everybody_ended() const;

  // Who asks for what.
  static constexpr TokenId poison_id = 7;  // in no prompt but one that shall crash engines
  ClientPlan make_plan(int number, Random& random);
  void share_prefix(std::vector<TokenId>& prompt, Random& random) const;
  void plan_clients();
  void add_client(int number, AdmissionProcess& admission, AdmissionProcess& other, ClientPlan plan,
                  Duration arrival);
  void plan_script();
  void play(ExecutorProcess& executor, std::uint32_t token);

  // When what strikes.
  void plan_faults();
  void strike(const FaultKind& kind, Random random);
  void strike_aimed();
  bool find_target(Stage stage);
  void disturb(TimePoint until);
  void cover(const Process* victim);  // of the fault that strikes
  std::optional<Stage> stage_of(const admission::Request& request) const;
  ExecutorProcess& any_executor(Random& random);
  AdmissionProcess& any_admission(Random& random);

  // Faults.
  TimePoint until(Random& random, std::int64_t most_ms) const;
  void kill(Process& process, Random& random, std::int64_t away_ms);
  void pause(Process& process, Random& random, std::int64_t most_ms);
  void slow(Process& process, Random& random);
  void kill(ExecutorProcess& victim);
  void crash(ExecutorProcess& victim);
  void stall_engine(ExecutorProcess& victim, Random& random);
  void drain(ExecutorProcess& victim);
  void kill_all_executors();
  void add_twin(ExecutorProcess& victim);
  std::pair<std::string, std::string> any_connection(Random& random) const;
  void disconnect(Random& random);
  void partition(Random& random);
  void partition_one_way(Random& random);
  void delay_connection(Random& random);
  void step_clock(Random& random);
  void fill_journal(AdmissionProcess& victim, Random& random);

  // Checks.
  void watch(Process& process);
  void on_turn(Process& process);
  void check_ledgers(const AdmissionProcess& admission);
  void check_claims();
  void check_stale_runs();
  void check_gone_clients();
  void check_charges();
  void check_outcomes(const Client& client);
  void note_crash(const ExecutorProcess& executor);
  void count_crash(const mesh::RequestKey& key, bool beside_poison);
  void expect_calm();
  void expect_known(const Process& process);
  void tell_states(const AdmissionProcess& admission);
  void violate(const std::string& what);
  void tell(const std::string& who, const std::string& what);
  std::string short_name(RequestId id) const;

  std::uint64_t seed_;
  WorldOptions options_;
  Random random_;
  Timeline timeline_;
  Network network_;
  Oracle oracle_;
  std::unique_ptr<SchedulerProcess> scheduler_;
  std::unique_ptr<MonitorProcess> monitor_;
  std::unique_ptr<CacheProcess> cache_;
  std::shared_ptr<MemoryStore> store_;
  std::unique_ptr<NodeProcess> node_;
  std::vector<std::unique_ptr<AdmissionProcess>> admissions_;
  std::vector<std::unique_ptr<ExecutorProcess>> executors_;
  std::map<const ExecutorProcess*, std::uint64_t> agents_;  // life of the agent that started it
  std::vector<std::unique_ptr<Client>> clients_;
  bool journal_ = false;
  Duration journal_write_{};  // the slowest
  Duration lease_{}, silence_{}, cut_{}, stall_{}, park_{}, retain_{}, load_{};
  bool whole_ = false;  // all executors have been there

  struct Known {  // a request, or one of its choices
    Client* client = nullptr;
    std::uint32_t choice = 0;
    std::uint32_t generated = 0;  // by engines, at most
    std::uint32_t crashes = 0;    // with it on board
    std::uint32_t crashes_beside_poison = 0;
  };
  std::unordered_map<std::uint64_t, Known> known_;  // by the low half of their ids
  const Expected* expected_of(RequestId id) const;
  struct Checked {
    std::uint32_t tokens = 0;
    std::string told;  // in the story
  };
  // By life of the admission, request, and life of that.
  std::map<std::tuple<mesh::PeerId, RequestId, std::uint32_t>, Checked> checked_;
  std::map<std::string, TimePoint> problems_;  // since when each stays
  std::map<std::pair<mesh::PeerId, mesh::RequestKey>, TimePoint> stale_runs_;
  struct Aimed {
    const FaultKind* kind;
    Random random;
    Stage stage;
    TimePoint until;
  };
  std::vector<Aimed> aimed_;
  const FaultKind* striking_ = nullptr;  // the last that struck
  std::vector<Cut> cuts_;                // of the script, still to come
  std::string target_;                   // the executor that an aimed strike is for
  TimePoint next_check_{}, faults_end_{}, disturbed_until_{};
  std::map<const Process*, TimePoint> hampered_until_;  // paused, slowed
  Duration
      place_slack_{};  // how much later than its admission the scheduler may have learnt of one
  std::map<mesh::PeerId, bool> crashed_;  // with the poison on board
  std::set<mesh::RequestKey> crash_counted_;
  int strikes_ = 0, clients_planned_ = 0;
  std::string violation_, story_;
  Tally tally_;
};

}  // namespace aorta::sim
