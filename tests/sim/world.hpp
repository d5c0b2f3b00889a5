#pragma once
// A whole mesh in one thread: real cores, codec and link, simulated network, clock and engines.
// One seed decides everything and replays it.
//
//   World world(seed, options);
//   world.run();               faults for a while, then none until everybody has an answer
//   world.violation()          the first thing that must not have happened, empty when all is well
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "actors/monitor/monitor.hpp"
#include "actors/scheduler/scheduler.hpp"
#include "tests/sim/client.hpp"
#include "tests/sim/core_process.hpp"
#include "tests/sim/executor_process.hpp"

namespace aorta::sim {

// Each is how many of its kind are expected in the time with faults.
struct Faults {
  double executor_kills = 2, executor_pauses = 1, executor_stalls = 1, executor_drains = 0.5;
  double scheduler_kills = 0.7, scheduler_pauses = 0.5, monitor_kills = 0.3;
  double disconnects = 2, partitions = 0.7;
  double all_executors_killed = 0.2;
  double twins = 0.2;  // a second process takes an executor's name
};

struct WorldOptions {
  int admissions = 2, executors = 3, clients = 9;
  std::uint32_t max_tokens = 120;
  Duration arrivals = std::chrono::seconds(2);  // clients come within
  Duration faults_for = std::chrono::seconds(4);
  Duration patience = std::chrono::seconds(60);  // after the faults: everybody must be done
  Faults faults;
  bool trace = false;
};

struct Tally {
  std::uint64_t events = 0, faults = 0, tokens = 0, epochs = 0;
  std::map<std::string, int> outcomes;  // of clients
  std::map<std::string, int> kinds;     // of faults
};

class World {
 public:
  World(std::uint64_t seed, WorldOptions options);
  ~World();
  void run();
  const std::string& violation() const { return violation_; }
  const Tally& tally() const { return tally_; }

 private:
  void build();
  void plan_clients();
  ClientPlan make_plan(int number);
  void plan_faults();
  void plan_fault(const char* kind, double expected, std::function<void()> strike);
  void restart(Process& process, Duration least, Duration most);
  ExecutorProcess& any_executor();
  void add_executor(const std::string& name);
  void expect_calm();
  void expect_known(const Process& process);
  bool everybody_ended() const;
  void violate(const std::string& what);
  void tell(const std::string& line) const;

  WorldOptions options_;
  Random random_;
  Timeline timeline_;
  Network network_;
  Oracle oracle_;
  std::unique_ptr<CoreProcess<scheduler::Scheduler>> scheduler_;
  std::unique_ptr<CoreProcess<monitor::Monitor>> monitor_;
  std::vector<std::unique_ptr<AdmissionProcess>> admissions_;
  std::vector<std::unique_ptr<ExecutorProcess>> executors_;
  std::vector<std::unique_ptr<Client>> clients_;
  TimePoint faults_end_{};
  std::string violation_;
  Tally tally_;
};

}  // namespace aorta::sim
