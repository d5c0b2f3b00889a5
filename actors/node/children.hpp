#pragma once
// The children of a node agent and what should become of each: pure bookkeeping. It says when to
// start and whom to signal; the agent (node.hpp) says how many there should be.
//
//   starting ──started──▶ running ──stop──▶ stopping ──exit──▶ (forgotten)
//      ▲                     │ exit              SIGTERM, later SIGKILL
//      └──── waiting ◀───────┤ restart at once, or after a back-off when crashes repeat
//            failed  ◀───────┘ exit code 78 or 3: a restart would fail the same way
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "actors/node/death.hpp"
#include "base/clock.hpp"
#include "mesh/messages.hpp"

namespace aorta::node {

struct ChildSpec {
  std::string name;
  mesh::ServiceKind kind{};
};

struct RestartOptions {
  Duration backoff_first = std::chrono::milliseconds(100);
  Duration backoff_max = std::chrono::seconds(10);
  Duration stop_patience = std::chrono::seconds(35);  // from SIGTERM to SIGKILL
};

// What the spawner is to do.
struct StartChild {
  ChildSpec spec;
};
struct SignalChild {
  std::string name;
  std::uint32_t pid = 0;
  int signal = 0;
};
using ChildAction = std::variant<StartChild, SignalChild>;

enum class Phase : std::uint8_t { starting, running, waiting, stopping, failed };

struct Child {
  ChildSpec spec;
  Phase phase = Phase::starting;
  std::uint32_t pid = 0;  // while starting: 0 until the spawner answered
  Incarnation incarnation;
  bool was_ready = false;      // in this life
  std::uint32_t failures = 0;  // counted crashes and "try again" (75) in a row
  TimePoint started{};
  TimePoint due = never;  // waiting: restart; stopping: SIGKILL
  Death last_death;
};

class Children {
 public:
  explicit Children(const RestartOptions& options) : options_(options) {}

  void add(const ChildSpec& spec, TimePoint now);
  // SIGTERM now (or as soon as it has a pid), SIGKILL after the patience; one that does not run is
  // forgotten.
  void stop(const std::string& name, TimePoint now);
  void started(const std::string& name, std::uint32_t pid, Incarnation incarnation);
  // It serves: whatever ends this life later is not a failure to start.
  void ready(const std::string& name);
  // What died, as it was; `restarting`: it will be started again.
  struct Exit {
    Child child;
    bool restarting = false;
  };
  Exit exited(const std::string& name, const Death& death, TimePoint now);
  void tick(TimePoint now);  // restarts and SIGKILLs that are due
  TimePoint next_tick() const;

  const Child* find(const std::string& name) const;
  const std::map<std::string, Child>& all() const { return children_; }
  std::vector<ChildAction> take_actions();

 private:
  void start(Child& child, TimePoint now);

  RestartOptions options_;
  std::map<std::string, Child> children_;
  std::vector<ChildAction> actions_;
};

}  // namespace aorta::node
