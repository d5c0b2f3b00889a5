#pragma once
// What a simulated mesh is made of and what befalls it.
#include <cstdint>
#include <set>
#include <vector>

#include "base/clock.hpp"
#include "tests/sim/client.hpp"

namespace aorta::sim {

// How many of its kind are expected in the time with faults: 0.3 is one in three seeds, 1.3 one
// always and a second in three.
struct Faults {
  double executor_kill = 0.8, executor_crash = 0.35, executor_pause = 0.4, executor_slow = 0.25;
  double engine_stall = 0.4, executor_drain = 0.3, all_executors_killed = 0.12;
  double executor_twin = 0.2;  // a second process takes an executor's name
  double scheduler_kill = 0.35, scheduler_pause = 0.25, scheduler_slow = 0.15;
  double admission_kill = 0.3, admission_pause = 0.25, admission_slow = 0.15;
  double monitor_kill = 0.15, cache_kill = 0.15, bystander_pause = 0.15;
  double node_kill = 0.15, node_pause = 0.15;
  double disconnect = 0.8, partition = 0.3, one_way_partition = 0.3, delay = 0.3;
  double clock_step = 0.25;
  double journal_full = 0.2;
  double poison = 0.15;  // a request whose prompt crashes every engine that computes it
  Faults scaled(double factor) const;
};

// Deaths at chosen tokens of the first client's answers, for clients that are written down.
struct Cut {
  enum class What { kill, crash, drain } what = What::kill;
  std::uint32_t token = 0;  // when an engine has generated it
  Duration after{};         // so much later: it may have arrived, or not have left
};
struct Script {
  std::vector<ClientPlan> clients;  // instead of drawn ones, all at the same time
  std::vector<Cut> cuts;            // each strikes once, whichever choice comes to it
  Duration kill_after{};            // from the first client's asking; 0: not
};

struct WorldOptions {
  int admissions = 2;
  int managed_executors = 2;  // children of the node agent
  int free_executors = 2;     // started again by whoever runs containers
  int clients = 9;
  int crowd = 36;         // clients of a crowded seed
  double crowded = 0.01;  // share of such seeds
  std::uint32_t max_tokens = 120;
  Duration arrivals = std::chrono::seconds(2);  // clients come within
  Duration faults_for = std::chrono::seconds(3);
  Duration patience = std::chrono::seconds(60);  // after the faults: everybody must be done
  // Time-outs are shorter than the product's defaults by this, so that a run ends sooner.
  double hurry = 2.5;
  // Of an unlucky seed some faults fall on it; a lucky one has few, so that what must hold between
  // two beats of an undisturbed mesh is tested too.
  double lucky = 0.2;
  // Share of faults that wait for a request in a drawn state.
  double aimed = 0.25;
  double journal = 0.75;  // share of seeds whose admissions keep one
  Faults faults;
  Script script;
  std::uint32_t blocks = 80;  // of 4 × 64 that the context could take: preemption is common
  bool trace = false;
  // What --shrink leaves out, by the order in which they are drawn.
  std::set<int> without_faults, without_clients;
};

}  // namespace aorta::sim
