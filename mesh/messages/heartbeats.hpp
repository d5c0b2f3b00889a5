#pragma once
// Heartbeats: full state, every 100 ms, so that both ends can reconcile.
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "mesh/messages/names.hpp"

namespace aorta::mesh {

// Any service → scheduler: those with nothing else to say.
struct ServiceBeat {
  static constexpr std::uint16_t number = 10;
  ServiceState state{};
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.state);
  }
};

// An admission's open request, with all that a scheduler needs to queue it again.
struct OpenRequest {
  RequestKey key;
  Tier tier = Tier::normal;
  std::string tenant;
  std::string model;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t generated_tokens = 0;
  std::uint32_t max_tokens = 0;
  std::uint32_t waited_ms = 0;     // since accepted: keeps its old place in the queue
  std::uint32_t remaining_ms = 0;  // to its deadline; 0: none
  std::string numerics_id;         // of the epochs before; empty: none yet
  Determinism determinism = Determinism::prefer;
  PeerId executor;                    // where this epoch was placed; empty name: queued
  std::vector<std::uint64_t> prefix;  // not used: see Submit
  std::uint64_t waited_us = 0;        // waited_ms, exactly: many come within a millisecond
  std::uint32_t crashes = 0;          // counted ones with it on board
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.tier, s.tenant, s.model, s.prompt_tokens, s.generated_tokens,
                    s.max_tokens, s.waited_ms, s.remaining_ms, s.numerics_id, s.determinism,
                    s.executor, s.prefix, s.waited_us, s.crashes);
  }
};
// Admission → scheduler.
struct AdmissionBeat {
  static constexpr std::uint16_t number = 11;
  ServiceState state{};
  std::vector<OpenRequest> open;
  std::uint64_t heard = 0;  // count of the last SchedulerBeat that had come; 0: none
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.state, s.open, s.heard);
  }
};

struct RunningRequest {
  RequestKey key;
  std::string admission;            // name of its owner
  TokenIndex next;                  // next index to be generated
  bool finished = false;            // to its end: holds no slot, its tail awaits an ack
  std::uint32_t cached_tokens = 0;  // found in a cache; known once this epoch has a token
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.admission, s.next, s.finished, s.cached_tokens);
  }
};
// Executor → scheduler. Free slots are what is advertised here less what was placed and is neither
// in `running` nor closed: by identity, so a lost message leaks no slot.
struct ExecutorBeat {
  static constexpr std::uint16_t number = 12;
  ServiceState state{};
  std::string model;
  std::string numerics_id;
  std::uint32_t slots_total = 0;
  std::uint32_t blocks_total = 0;
  std::uint32_t blocks_used = 0;
  std::uint64_t steps = 0;  // steps finished since start: progress, not pings
  std::uint32_t median_step_us = 0;
  std::uint32_t prefill_per_second = 0;  // measured tokens/s; 0: not yet
  std::vector<RunningRequest> running;   // everything that holds a slot or an unacked tail
  std::uint64_t heard = 0;               // count of the last SchedulerBeat that had come; 0: none
  std::uint32_t blocks_cached = 0;       // held by nobody: taken when others are needed
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.state, s.model, s.numerics_id, s.slots_total, s.blocks_total, s.blocks_used,
                    s.steps, s.median_step_us, s.prefill_per_second, s.running, s.heard,
                    s.blocks_cached);
  }
};
// Scheduler → admissions and executors: what admissions shed by, and a count that their own beats
// repeat. What waits unread for a moment is so told from what was sent in it.
struct SchedulerBeat {
  static constexpr std::uint16_t number = 13;
  std::uint32_t slots_total = 0;  // of ready executors
  std::uint32_t slots_known =
      0;  // the most that were ready lately: a restart of all refuses nobody
  std::uint32_t slots_free = 0;
  std::uint32_t executors_ready = 0;
  std::uint32_t executors_coming = 0;   // starting, restarting or desired but not ready
  std::vector<std::uint32_t> queued;    // per tier
  std::vector<std::uint32_t> running;   // per tier
  std::uint32_t starts_per_minute = 0;  // measured rate at which slots come free; 0: unknown
  std::uint64_t count = 0;              // grows with each, over restarts too
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.slots_total, s.slots_known, s.slots_free, s.executors_ready,
                    s.executors_coming, s.queued, s.running, s.starts_per_minute, s.count);
  }
};

}  // namespace aorta::mesh
