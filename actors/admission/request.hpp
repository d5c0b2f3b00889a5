#pragma once
// One request from its arrival to the end of its retention, and the one state it is in. A request
// for several choices is as many of these: each has its own ledger, epochs and end, as if it were
// alone. Their ids follow each other; clients know the first one's only.
//
//   held ──▶ queued ◀──▶ placed          held: not accepted yet; no executor is ready, or the
//             │  ▲          │                  journal is still writing
//             ▼  │          ▼            queued: at the scheduler
//            parked ──▶   ended          placed: on an executor, whether started yet or not
//                                        parked: the client is gone, nothing runs
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "actors/admission/ledger.hpp"
#include "actors/lost_reasons.hpp"
#include "base/clock.hpp"
#include "mesh/link.hpp"

namespace aorta::admission {

struct Held {
  TimePoint until;
  TimePoint journaled_at = never;  // when the journal was asked; then `until` is its time to answer
};
struct Queued {};
struct Placed {
  mesh::PeerId executor;
  mesh::TokenReceiver receiver;
  bool started = false;       // Start was sent
  bool heard = false;         // something of this epoch has come: the executor has it
  TimePoint join_by = never;  // the executor is not connected: placed anew unless it is then
  TimePoint next_expect{};    // gaps are asked for once in a while, not at every step
};
struct Parked {
  TimePoint until;
};
struct Ended {
  TimePoint forget_at = never;  // known when all its choices have ended
};
using State = std::variant<Held, Queued, Placed, Parked, Ended>;
enum class Phase : std::uint8_t { held, queued, placed, parked, ended };  // State's index
inline constexpr std::size_t phase_count = 5;
std::string_view name_of(Phase phase);
std::string_view name_of(mesh::Tier tier);
using actors::name_of;

// How a choice had ended in an earlier life of this admission.
struct EndedBefore {
  Outcome outcome;
  TokenIndex tokens;
  // Not by the answer itself, which would go on: it is cut here again.
  bool cut() const { return outcome.finish_reason != "stop" && outcome.finish_reason != "length"; }
};

// What one epoch came to, for the audit.
struct EpochRecord {
  Epoch epoch;
  std::string executor;             // empty: never placed
  TokenIndex first;                 // index of the first token it could bring
  std::uint32_t cached_tokens = 0;  // that its executor found in a cache when it began
  std::optional<mesh::LostReason> lost;
};
inline constexpr std::size_t epoch_records = 16;  // the latest are kept

// The id of a choice of the request that clients know as `request`.
constexpr RequestId choice_id(RequestId request, std::uint32_t choice) {
  return {request.high, request.low + choice};
}

struct Request {
  RequestId id;
  std::uint32_t choices = 1;  // of which this is number choice()
  bool chat = true;           // asked with messages, not with a prompt
  std::string tenant;
  std::string model;
  std::string idempotency_key;  // the first choice's: it stands for all
  std::string body_digest;
  mesh::Tier tier{};
  mesh::Determinism determinism{};
  OnDisconnect on_disconnect{};
  mesh::SamplingFields sampling;
  std::optional<std::uint32_t> top_logprobs;  // absent: no log-probabilities
  std::uint32_t min_tokens = 0;
  std::vector<TokenId> stop_ids;
  Ledger ledger;

  TimePoint arrived{};
  TimePoint deadline{};
  TimePoint first_placed = never, first_token = never;
  TimePoint last_token{};    // or arrival: latencies are measured from it
  TimePoint next_waiting{};  // when its clients get a sign of life, if no token has come
  TimePoint alarm = never;   // its place in RequestTable's alarms

  State state = Queued{};
  Epoch epoch{1};
  std::vector<EpochRecord> epochs;
  std::uint32_t crashes = 0;  // counted ones, each epoch's once
  Epoch last_crash{0};
  std::string numerics_id;                     // of the tokens so far
  std::optional<std::uint32_t> cached_tokens;  // of the prompt, when its first token came
  bool same_numerics = true;
  // An earlier life had begun the answer: its clients may have more of it than the ledger has yet.
  bool begun_anew = false;
  bool journaled = false;  // of the first choice: the journal has or may have a record
  std::optional<EndedBefore> ended_before;

  std::uint32_t choice() const { return sampling.choice; }
  RequestId public_id() const { return {id.high, id.low - choice()}; }
  Phase phase() const { return static_cast<Phase>(state.index()); }
  bool accepted() const { return phase() != Phase::held; }
  Placed* placed() { return std::get_if<Placed>(&state); }
  const Placed* placed() const { return std::get_if<Placed>(&state); }
  // Nothing has come of this epoch: its clients get signs of life instead.
  // Or something has, but its clients had it from an earlier life.
  bool waits() const {
    if (phase() == Phase::queued || (placed() && !placed()->heard)) return true;
    return placed() && begun_anew && ledger.someone_is_ahead();
  }
  // It had ended in an earlier life, and nobody has asked for it since: there is only its record.
  bool dormant() const { return phase() == Phase::ended && !ledger.outcome(); }
  bool cut_at_once() const {
    return ended_before && ended_before->cut() && ended_before->tokens <= ledger.next();
  }
  mesh::RequestKey key() const { return {id, epoch}; }
  void begin_epoch_record();
  Usage usage() const;
  mesh::OpenRequest open(TimePoint now) const;  // as the scheduler is told
  // Names the KV of the tenant's prompts: nobody else's requests find it, and a request asked anew
  // at any admission does.
  std::uint64_t cache_salt() const;
  // The names of its first blocks, prompt and answer so far: `most` at most.
  std::vector<std::uint64_t> prefix(std::uint32_t most) const;
  mesh::Start start(std::uint32_t lease_ms) const;
};

// Of a request of which nobody knows yet.
std::unique_ptr<Request> another_choice(const Request& first, std::uint32_t choice);

}  // namespace aorta::admission
