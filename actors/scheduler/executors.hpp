#pragma once
// What the scheduler knows of executors, all of it from their beats: who has room, who is stuck,
// and which of them would begin a request soonest.
//
// Free slots are counted by identity: slots_total − |running in the last beat ∪ placed and not yet
// in a beat|. A lost message can hide a slot for a beat or two, never leak one.
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/scheduler/options.hpp"
#include "actors/scheduler/policy.hpp"
#include "actors/scheduler/prefixes.hpp"
#include "base/clock.hpp"
#include "mesh/messages.hpp"

namespace aorta::scheduler {

// What a request asks of its executor.
struct Need {
  std::string model;         // empty: any
  std::uint32_t tokens = 0;  // to prefill: prompt and what earlier lives generated
  std::string numerics_id;   // of its earlier lives; empty: none yet
  bool strict = false;       // no other numerics_id will do
  bool suspect = false;      // of a crash that it was on board of: no two of these together
  bool alone = false;        // of several: risks nobody else's request
  std::vector<std::uint64_t> prefix;  // names of its blocks, in order; none: no cache is asked
};

struct Executor {
  struct Placement {
    std::uint32_t tokens = 0;           // before its first; 0 once that was generated
    std::uint32_t prefill = 0;          // of them, those that no cache is expected to have
    TokenIndex first;                   // index of its first token here
    bool seen = false;                  // in a beat, at least once
    bool suspect = false;               // until its first token here
    std::uint32_t unclaimed_beats = 0;  // beats in a row without it that should have shown it
    std::uint64_t unclaimed_at = 0;     // the scheduler's beat that the last of them knew of
  };
  struct Orphan {             // claimed here, but not placed here as far as we know
    std::uint64_t since = 0;  // the scheduler's last beat when it was first seen
    std::uint32_t beats = 0;
  };
  mesh::PeerId self;
  mesh::ServiceState state = mesh::ServiceState::starting;
  std::string model, numerics_id;
  std::uint32_t slots_total = 0, blocks_total = 0, blocks_used = 0, blocks_cached = 0;
  std::uint32_t median_step_us = 0, prefill_per_second = 0;
  std::uint64_t steps = 0;
  std::map<mesh::RequestKey, mesh::RunningRequest> claimed;  // last beat: running and finished
  std::uint32_t holding = 0;                                 // how many of them hold a slot
  std::map<mesh::RequestKey, Placement> placed;              // and neither closed nor lost
  std::map<mesh::RequestKey, Orphan> orphans;
  std::optional<mesh::RequestKey> alone;
  Prefixes prefixes;  // of what was placed here
  std::uint64_t beats = 0;
  TimePoint beat_at{};      // when the last one came
  std::uint64_t heard = 0;  // the scheduler's last beat that its own last one knew of
  TimePoint ready_since = never;
  TimePoint progressed{};
  TimePoint probation_until{};
  bool stalled = false;
  std::uint32_t stall_doublings = 0;  // of its limit: it has proved to be slow
  TimePoint slow_at{};                // when it last did, or its limit last fell
  bool leaving = false;               // wanted drained
  bool refused = false;               // declined what fitted by our count: its next beat will tell

  bool serving() const;
  bool has_suspect() const;
  std::uint32_t used() const;
  // Tokens of what was placed here and has no answer yet: those that are to be computed, as far as
  // we know, and all, as if no cache had any.
  std::uint64_t prefill() const;
  std::uint64_t whole_prefill() const;
  std::uint32_t free(TimePoint now) const;
  std::uint32_t free_blocks() const;
};

class Executors {
 public:
  explicit Executors(const ExecutorOptions& options) : options_(options) {}

  void joined(const mesh::PeerId& self, TimePoint now);
  void left(const std::string& name);
  Executor* find(const std::string& name);
  Executor* find(const mesh::PeerId& self);  // that life of it
  const std::map<std::string, Executor>& all() const { return table_; }

  // Takes the beat in; `now` is when it arrived.
  void beat(Executor& executor, const mesh::ExecutorBeat& beat, TimePoint now);
  // It crashed or stalled: one request at a time until one has brought a token, or for a while; in
  // its next life too.
  void suspect(const std::string& name, TimePoint now);
  // Those that have requests on board and finished no step for too long, each told once, and again
  // when requests are found on board later.
  std::vector<std::string> find_stalled(TimePoint now);
  // Time in which this scheduler itself stood still does not count against anybody.
  void forgive(Duration gap);
  void want_drained(const std::set<std::string>& names);

  // Where `need` would begin soonest. Null: nowhere now; `fit` says whether it may get better.
  Executor* best(const Need& need, TimePoint now, Fit& fit);
  // How much of it that executor's cache is expected to have.
  std::uint32_t cached_tokens(const Executor& executor, const Need& need) const;
  void place(Executor& executor, const mesh::RequestKey& key, const Need& need, TokenIndex first);
  // Closed or lost: what of it still runs there is in the beats.
  void release(const mesh::PeerId& executor, const mesh::RequestKey& key);
  // The same because the executor would not have it.
  void declined(const mesh::PeerId& executor, const mesh::RequestKey& key);

  std::uint32_t slots(const std::string& model) const;  // of those that serve it; empty: any
  std::uint32_t free(const std::string& model, TimePoint now) const;

 private:
  void note_pace(Executor& executor, TimePoint now) const;
  Duration stall_limit(const Executor& executor) const;
  double prefill_seconds(const Executor& executor, std::uint64_t tokens) const;
  double prefill_step_seconds(const Executor& executor) const;
  double begins_in_seconds(const Executor& executor, const Need& need) const;
  bool within_ramp(const Executor& executor, TimePoint now) const;
  bool room(const Executor& executor, const Need& need, TimePoint now) const;

  ExecutorOptions options_;
  std::map<std::string, Executor> table_;
  std::map<std::string, TimePoint> suspects_;  // name → end of probation
};

}  // namespace aorta::scheduler
