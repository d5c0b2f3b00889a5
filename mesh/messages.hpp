#pragma once
// Every message between services: one struct each, an explicit number each (retired numbers stay
// listed), one fields() that the codec writes as a msgpack array in that order. A reader takes a
// shorter array (missing fields keep their defaults) and skips fields beyond those it knows.
// What clients exchange with admission is in mesh/client_codec.hpp.
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.hpp"

namespace aorta::mesh {

inline constexpr std::uint32_t protocol_version = 1;  // this and the one before are spoken

enum class ServiceKind : std::uint8_t {
  admission,
  scheduler,
  executor,
  cache,
  monitor,
  node,
  tool
};
enum class ServiceState : std::uint8_t { starting, ready, draining, stopping, dead };
enum class Tier : std::uint8_t { urgent, high, normal };  // most urgent first
inline constexpr std::size_t tier_count = 3;
enum class Determinism : std::uint8_t { prefer, strict };

// A mesh member's name and which life of it. Routing id on the wire: "name#incarnation".
struct PeerId {
  std::string name;
  Incarnation incarnation;
  auto operator<=>(const PeerId&) const = default;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.name, s.incarnation);
  }
};

struct RequestKey {  // one life of a request
  RequestId request;
  Epoch epoch;
  auto operator<=>(const RequestKey&) const = default;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.request, s.epoch);
  }
};

// ── Meeting ──────────────────────────────────────────────────────────────────────────────────
// First message on every connection from the dialling side, repeated until answered.
struct Hello {
  static constexpr std::uint16_t number = 1;
  std::uint32_t protocol = protocol_version;
  ServiceKind kind{};
  PeerId self;
  std::uint32_t pid = 0;
  std::string host;
  std::string address;  // where it listens for those it must be dialled by; empty: nowhere
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.protocol, s.kind, s.self, s.pid, s.host, s.address);
  }
};
struct Welcome {
  static constexpr std::uint16_t number = 2;
  std::uint32_t protocol = protocol_version;
  PeerId self;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.protocol, s.self);
  }
};
// A newer life of the same name is here: leave (exit 78) and do not come back.
struct Superseded {
  static constexpr std::uint16_t number = 3;
  PeerId by;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.by);
  }
};
// The receiver cannot work with the sender: `reason` says what to change.
struct Refused {
  static constexpr std::uint16_t number = 4;
  std::string reason;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.reason);
  }
};

// A binder heard from someone who never said hello (it has restarted): introduce yourself.
struct Who {
  static constexpr std::uint16_t number = 6;
  template <class Self>
  static auto fields(Self&) {
    return std::tie();
  }
};

struct Member {
  ServiceKind kind{};
  PeerId self;
  ServiceState state{};
  std::uint32_t pid = 0;
  std::string host;
  std::string address;
  std::string model;        // executors: what they serve
  std::string numerics_id;  // executors: see docs/numerics.md
  bool operator==(const Member&) const = default;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.kind, s.self, s.state, s.pid, s.host, s.address, s.model, s.numerics_id);
  }
};
// Scheduler → everyone: on each change, on Hello, and each second.
struct Membership {
  static constexpr std::uint16_t number = 5;
  std::uint64_t version = 0;
  std::vector<Member> members;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.version, s.members);
  }
};

// ── Heartbeats: full state, every 100 ms ─────────────────────────────────────────────────────
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
  std::vector<std::uint64_t> prefix;  // chained hashes of its full blocks (empty: no cache asked)
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.tier, s.tenant, s.model, s.prompt_tokens, s.generated_tokens,
                    s.max_tokens, s.waited_ms, s.remaining_ms, s.numerics_id, s.determinism,
                    s.executor, s.prefix);
  }
};
// Admission → scheduler.
struct AdmissionBeat {
  static constexpr std::uint16_t number = 11;
  ServiceState state{};
  std::vector<OpenRequest> open;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.state, s.open);
  }
};

struct RunningRequest {
  RequestKey key;
  std::string admission;  // name of its owner
  TokenIndex next;        // next index to be generated
  bool finished = false;  // to its end: holds no slot, its tail awaits an ack
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.admission, s.next, s.finished);
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
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.state, s.model, s.numerics_id, s.slots_total, s.blocks_total, s.blocks_used,
                    s.steps, s.median_step_us, s.prefill_per_second, s.running);
  }
};
// Scheduler → admissions: what they shed by.
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
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.slots_total, s.slots_known, s.slots_free, s.executors_ready,
                    s.executors_coming, s.queued, s.running, s.starts_per_minute);
  }
};

// ── Placing a request: admission ↔ scheduler ─────────────────────────────────────────────────
struct Submit {  // also after `lost`, with the next epoch
  static constexpr std::uint16_t number = 20;
  OpenRequest open;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.open);
  }
};
struct Placed {
  static constexpr std::uint16_t number = 21;
  RequestKey key;
  PeerId executor;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.executor);
  }
};
// This epoch will bring no more tokens. Admission answers with Submit{epoch + 1}.
enum class LostReason : std::uint8_t {
  dead,
  stalled,
  superseded,
  draining,
  preempted,
  refused,
  unclaimed,
  lease
};
struct Lost {
  static constexpr std::uint16_t number = 22;
  RequestKey key;
  LostReason reason{};
  bool counted_crash = false;  // its engine crashed with it on board
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.reason, s.counted_crash);
  }
};
// Admission → scheduler: the request ended; forget it.
struct Closed {
  static constexpr std::uint16_t number = 23;
  RequestId request;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.request);
  }
};

// ── Running a request: admission ↔ executor ──────────────────────────────────────────────────
struct SamplingFields {  // mirrors engine::Sampling; `seed` is always set
  float temperature = 1, top_p = 1, min_p = 0;
  std::uint32_t top_k = 0;
  float presence_penalty = 0, frequency_penalty = 0, repetition_penalty = 1;
  std::vector<std::pair<TokenId, float>> logit_bias;
  std::uint64_t seed = 0;
  std::uint32_t choice = 0;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.temperature, s.top_p, s.min_p, s.top_k, s.presence_penalty,
                    s.frequency_penalty, s.repetition_penalty, s.logit_bias, s.seed, s.choice);
  }
};
struct Start {
  static constexpr std::uint16_t number = 30;
  RequestKey key;
  std::vector<TokenId> prompt;
  std::vector<TokenId> generated;  // by earlier epochs
  std::uint32_t max_tokens = 0;    // total generated
  std::uint32_t min_tokens = 0;
  std::vector<TokenId> stop_ids;
  SamplingFields sampling;
  std::uint32_t lease_ms = 0;  // the executor's right to go on without an Ack
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.prompt, s.generated, s.max_tokens, s.min_tokens, s.stop_ids,
                    s.sampling, s.lease_ms);
  }
};
enum class Finish : std::uint8_t { none = 0, stop = 1, length = 2 };  // engine::Finish
struct TokenRun {
  RequestKey key;
  TokenIndex first;
  std::vector<TokenId> ids;      // at first, first + 1, …
  Finish finish = Finish::none;  // of the last id: the stream is complete
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.first, s.ids, s.finish);
  }
};
// Executor → admission: one per engine step and admission.
struct Tokens {
  static constexpr std::uint16_t number = 31;
  std::vector<TokenRun> runs;
  std::string numerics_id;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.runs, s.numerics_id);
  }
};
struct AckItem {
  RequestKey key;
  TokenIndex next;        // everything before it is in the ledger
  bool complete = false;  // the finish is too: forget the stream
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.next, s.complete);
  }
};
// Admission → executor: cumulative, at most one per 20 ms, at least one per lease_ms / 4 naming
// every epoch that admission holds there; renews their leases.
struct Ack {
  static constexpr std::uint16_t number = 32;
  std::vector<AckItem> items;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.items);
  }
};
struct Expect {  // a gap: send again from `next`
  static constexpr std::uint16_t number = 33;
  RequestKey key;
  TokenIndex next;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.next);
  }
};
struct Stop {  // admission or scheduler → executor: forget this epoch by the end of the step
  static constexpr std::uint16_t number = 34;
  RequestKey key;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key);
  }
};
// Executor → admission: will not produce (more of) this epoch: no slot, draining, unknown after a
// restart, lease run out. Admission takes it as Lost.
struct Declined {
  static constexpr std::uint16_t number = 35;
  RequestKey key;
  LostReason reason{};
  std::string sentence;
  bool invalid = false;  // the request can run on no executor: it ends `failed` with the sentence
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.key, s.reason, s.sentence, s.invalid);
  }
};

// ── Packed weights: executor ↔ cache ─────────────────────────────────────────────────────────
struct PackRequest {
  static constexpr std::uint16_t number = 40;
  std::string gguf_path;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.gguf_path);
  }
};
// Sent while packing (ready = false, with progress) and at the end. The lease lasts while the
// executor is a member.
struct PackReply {
  static constexpr std::uint16_t number = 41;
  std::string gguf_path;
  bool ready = false;
  std::string pack_path;
  std::uint32_t percent = 0;
  std::string error;  // not empty: it cannot be packed, and why
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.gguf_path, s.ready, s.pack_path, s.percent, s.error);
  }
};

// ── Figures and control: everyone ↔ monitor, tools → monitor ─────────────────────────────────
enum class FigureKind : std::uint8_t { counter, gauge };
struct Figure {
  std::string name;    // aorta_requests_accepted_total …
  std::string labels;  // a="b",c="d" in Prometheus' text form, or empty
  double value = 0;
  FigureKind kind = FigureKind::gauge;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.name, s.labels, s.value, s.kind);
  }
};
// Any service → monitor, each second.
struct Report {
  static constexpr std::uint16_t number = 50;
  ServiceState state{};
  std::vector<Figure> figures;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.state, s.figures);
  }
};
// Monitor → any service, and the answer: JSON text of its part of the audit.
struct AuditRequest {
  static constexpr std::uint16_t number = 51;
  std::uint64_t token = 0;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.token);
  }
};
struct AuditReply {
  static constexpr std::uint16_t number = 52;
  std::uint64_t token = 0;
  std::string json;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.token, s.json);
  }
};
// Tool → monitor: ps · scale N · drain NAME · audit · health NAME. Monitor → tool: the
// answer.
struct Control {
  static constexpr std::uint16_t number = 53;
  std::uint64_t token = 0;
  std::string verb;
  std::string argument;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.token, s.verb, s.argument);
  }
};
struct ControlReply {
  static constexpr std::uint16_t number = 54;
  std::uint64_t token = 0;
  std::int32_t exit_code = 0;
  std::string text;  // JSON for ps and audit, a sentence otherwise
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.token, s.exit_code, s.text);
  }
};
// Monitor → node agents (and scheduler, which counts those still to come): how many executors
// should exist; `draining` are to be drained now and count no more.
struct Desired {
  static constexpr std::uint16_t number = 55;
  std::uint32_t executors = 0;
  std::vector<std::string> draining;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.executors, s.draining);
  }
};
struct Drain {  // monitor → service: finish or hand over, then leave with exit code 0
  static constexpr std::uint16_t number = 56;
  template <class Self>
  static auto fields(Self&) {
    return std::tie();
  }
};
// Node agent → scheduler and monitor: a child died, at once.
struct ChildDied {
  static constexpr std::uint16_t number = 57;
  PeerId child;                // incarnation 0: it never said hello
  std::int32_t exit_code = 0;  // −signal when killed
  std::string cause;           // "SIGKILL", "exit code 70", …
  bool counted_crash = false;  // DESIGN: SEGV, ABRT, BUS, ILL, FPE, engine exit codes
  bool restarting = false;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.child, s.exit_code, s.cause, s.counted_crash, s.restarting);
  }
};
// Node agent → monitor and scheduler, on change and each second: what it runs.
struct NodeReport {
  static constexpr std::uint16_t number = 58;
  struct Child {
    std::string name;
    ServiceKind kind{};
    std::uint32_t pid = 0;
    ServiceState state{};
    template <class Self>
    static auto fields(Self& s) {
      return std::tie(s.name, s.kind, s.pid, s.state);
    }
  };
  std::uint32_t desired_executors = 0;
  std::vector<Child> children;
  template <class Self>
  static auto fields(Self& s) {
    return std::tie(s.desired_executors, s.children);
  }
};
// A member says that it leaves on purpose: nothing it held is lost by crash.
struct Goodbye {
  static constexpr std::uint16_t number = 59;
  template <class Self>
  static auto fields(Self&) {
    return std::tie();
  }
};

using Message =
    std::variant<Hello, Welcome, Superseded, Refused, Who, Membership, ServiceBeat, AdmissionBeat,
                 ExecutorBeat, SchedulerBeat, Submit, Placed, Lost, Closed, Start, Tokens, Ack,
                 Expect, Stop, Declined, PackRequest, PackReply, Report, AuditRequest, AuditReply,
                 Control, ControlReply, Desired, Drain, ChildDied, NodeReport, Goodbye>;

}  // namespace aorta::mesh
