// The table of settings: key, range and sentence beside the member that holds the value. A setting
// that is not here does not exist: it can be neither loaded nor shown.
#include <fmt/format.h>

#include <limits>

#include "base/config.hpp"

namespace aorta {
namespace {

constexpr double max_u32 = std::numeric_limits<std::uint32_t>::max();
constexpr double KiB = 1024, MiB = 1024 * KiB, GiB = 1024 * MiB, TiB = 1024 * GiB;

// The key is the member's own path, so the two cannot differ.
#define SETTING(path) #path, [](Config & config) -> Field { return &config.path; }

Setting number(std::string key, std::function<Field(Config&)> field, double min, double max,
               std::string sentence) {
  return {std::move(key), std::move(field), min, max, {}, std::move(sentence)};
}
Setting flag(std::string key, std::function<Field(Config&)> field, std::string sentence) {
  return {std::move(key), std::move(field), 0, 0, {}, std::move(sentence)};
}
Setting text(std::string key, std::function<Field(Config&)> field, std::string sentence) {
  return {std::move(key), std::move(field), 0, 0, {}, std::move(sentence)};
}
Setting choice(std::string key, std::function<Field(Config&)> field,
               std::vector<std::string> allowed, std::string sentence) {
  return {std::move(key), std::move(field), 0, 0, std::move(allowed), std::move(sentence)};
}

std::vector<Setting> make_settings() {
  return {
      number(SETTING(mesh.port_base), 1, 65529,
             "P, from which every port follows: P HTTP, P+1 ZeroMQ clients, P+2 monitor; between "
             "hosts P+3 scheduler, P+4 admission, P+5 cache, P+6 monitor."),
      text(SETTING(mesh.state_folder),
           "Where sockets, logs and pids of this mesh lie; empty: "
           "${XDG_STATE_HOME:-~/.local/state}/aorta/P."),
      text(SETTING(mesh.bind),
           "How services meet: ipc (sockets in the state folder, one host) or an address to listen "
           "on with TCP."),
      text(SETTING(mesh.advertise),
           "The host name or address by which others dial this process; empty: mesh.bind."),
      text(SETTING(mesh.scheduler),
           "Where the scheduler listens (tcp://HOST:PORT); empty: in the state folder."),
      text(SETTING(mesh.monitor),
           "Where the monitor listens (tcp://HOST:PORT); empty: in the state folder."),
      text(SETTING(mesh.cache),
           "Where the cache listens (tcp://HOST:PORT); empty: in the state folder."),
      flag(SETTING(mesh.insecure),
           "Listen beyond loopback without keys: only on a network where everybody is trusted."),
      number(SETTING(mesh.beat_ms), 10, 10000,
             "How often a service sends its full state to the scheduler."),
      number(SETTING(mesh.hello_ms), 10, 10000,
             "How often a service introduces itself until it is answered."),
      number(SETTING(mesh.max_message_bytes), 64 * KiB, GiB,
             "The largest message between services; larger ones are dropped and counted."),
      number(SETTING(mesh.send_queue_messages), 100, 1e6,
             "Messages that wait for one peer; beyond it they are dropped, counted and repaired."),

      text(SETTING(model.path),
           "The model: a GGUF file, a directory with config.json and safetensors, or fake for an "
           "engine without weights; empty: the demo model in "
           "${XDG_CACHE_HOME:-~/.cache}/aorta/models."),
      text(SETTING(model.id),
           "The name clients ask for; empty: that of the file or directory, without .gguf."),
      number(SETTING(model.temperature), -1, 2,
             "For requests that name neither it nor top_p; -1: what the demo model's makers advise "
             "for that one (0.2), OpenAI's default (1) for others."),
      number(SETTING(model.top_p), -1, 1, "The same of top_p; -1: 0.9 and 1."),

      number(SETTING(admission.default_max_tokens), 1, 1e6,
             "Answer length when a request names none, or what its prompt leaves of the context."),
      number(SETTING(admission.default_timeout_ms), 100, 86'400'000,
             "From arrival to the end of the answer, when a request names none."),
      number(SETTING(admission.max_timeout_ms), 100, 86'400'000,
             "The longest timeout a request may ask for; a longer one is cut to it."),
      number(SETTING(admission.max_choices), 1, 128,
             "The most answers that one request may ask for with n."),
      number(SETTING(admission.open_requests), 1, 1e6,
             "Requests that have not ended, in all, each choice of one counted; bounds memory "
             "whatever the load."),
      number(SETTING(admission.open_per_tenant), 1, 1e6, "Of these, of one tenant."),
      number(SETTING(admission.max_wait_urgent_ms), 0, 3'600'000,
             "The longest predicted wait with which an urgent request is still accepted."),
      number(SETTING(admission.max_wait_high_ms), 0, 3'600'000, "The same for tier high."),
      number(SETTING(admission.max_wait_normal_ms), 0, 3'600'000, "The same for tier normal."),
      number(SETTING(admission.hold_ms), 0, 600'000,
             "While no executor is ready but some are coming, a request waits so long for an "
             "answer whether it is accepted."),
      number(SETTING(admission.urgent_share_percent), 1, 100,
             "Share of all slots that urgent requests may take together."),
      number(SETTING(admission.blind_requests), 0, 1e6,
             "Requests accepted while the scheduler's figures are more than 1 s old."),
      number(
          SETTING(admission.prefix_blocks), 0, 65'536,
          "Blocks of 16 tokens, from a request's first on, by whose names the scheduler finds the "
          "executor that has them cached; 0: none."),
      number(SETTING(admission.lease_ms), 200, 60'000,
             "An executor may go on with a request so long without hearing from admission."),
      number(SETTING(admission.waiting_ms), 10, 60'000,
             "How often a client whose request brings no tokens gets a sign of life."),
      number(SETTING(admission.poison_crashes), 1, 100,
             "A request whose engine crashed so often with it on board ends as failed."),
      number(SETTING(admission.park_ms), 0, 86'400'000,
             "How long a parked request waits for its client."),
      number(SETTING(admission.retain_ms), 0, 86'400'000,
             "How long a finished answer is kept for resume, within the two limits below."),
      number(SETTING(admission.retain_requests), 0, 1e6, "Finished answers kept, in all."),
      number(SETTING(admission.retain_bytes), 0, 64 * GiB, "Bytes of finished answers kept."),
      number(SETTING(admission.audit_requests), 0, 1e6, "Ended requests that an audit lists."),

      text(
          SETTING(journal.folder),
          "Where it is kept, a file for each admission; empty: in the state folder. It has prompts "
          "and no answers."),
      choice(
          SETTING(journal.sync), {"process", "disk", "none"},
          "What an accepted request outlives: the death of its process, or that of its host too. "
          "none: neither, there is no journal."),
      number(SETTING(journal.sync_ms), 1, 60'000,
             "With process, the disk has what was written after so long; with disk, before it is "
             "accepted."),
      number(SETTING(journal.wait_ms), 100, 600'000,
             "A request that is not written after so long is refused."),
      number(SETTING(journal.max_bytes), MiB, 1024 * GiB,
             "A larger journal takes no more requests until some are forgotten."),

      text(SETTING(security.keys_folder),
           "Where `aorta keys init` has put the mesh's keys; services then meet by TCP under CURVE "
           "only. Empty: keys in the state folder, if it has any."),
      choice(SETTING(security.api_keys), {"auto", "required", "off"},
             "Whether clients need an API key: auto when there is a file of keys; required always; "
             "off never."),
      text(SETTING(security.api_keys_file),
           "The file that `aorta keys add` writes; empty: api_keys in the folder above."),

      text(SETTING(http.bind), "IP address on which HTTP listens; the port is mesh.port_base."),
      text(
          SETTING(http.cors_origins),
          "Origins whose web pages may call, such as https://chat.example.org, with commas between "
          "them; *: any; empty: none."),
      text(SETTING(http.tls_certificate),
           "PEM file of the certificate under which HTTP is served, with those above it; empty: "
           "plain HTTP. Read again at SIGHUP."),
      text(SETTING(http.tls_key), "PEM file of that certificate's private key."),
      number(SETTING(http.max_connections), 1, 1e6,
             "Connections at once; one more is answered 503 and closed."),
      number(SETTING(http.max_header_bytes), KiB, MiB, "A longer header is answered 431."),
      number(SETTING(http.max_body_bytes), KiB, GiB, "A longer body is answered 413."),
      number(SETTING(http.max_bodies_bytes), MiB, 64 * GiB,
             "Bodies on their way in together; beyond it a request is answered 503."),
      number(SETTING(http.header_timeout_ms), 10, 600'000,
             "A header must arrive within; else 408."),
      number(SETTING(http.body_timeout_ms), 10, 3'600'000, "A body must arrive within; else 408."),
      number(SETTING(http.idle_timeout_ms), 10, 3'600'000,
             "A connection without a request is closed after."),
      number(SETTING(http.write_timeout_ms), 10, 3'600'000,
             "A client that takes no byte for so long is gone."),
      number(SETTING(http.hold_bytes), KiB, GiB,
             "When so much waits for a slow client, the rest of its answer stays in the ledger."),
      number(SETTING(http.max_unsent_bytes), KiB, GiB,
             "When so much waits nevertheless, the connection is closed."),

      text(SETTING(zmq.bind),
           "IP address on which ZeroMQ clients are served; the port is mesh.port_base + 1."),
      flag(
          SETTING(zmq.curve),
          "ZeroMQ clients must use CURVE, with the server key that is in clients.public beside the "
          "mesh's keys."),
      number(SETTING(zmq.max_message_bytes), KiB, GiB,
             "A client that sends a larger frame loses its connection."),
      number(SETTING(zmq.max_peers), 1, 1e6, "Clients with something open; more are rejected."),
      number(SETTING(zmq.max_streams_per_peer), 1, 1e6, "Requests open at once on one socket."),
      number(SETTING(zmq.send_queue_messages), 1, 1e6,
             "Messages that wait for one client; then the rest stays in the ledger."),
      number(SETTING(zmq.max_unsent_bytes), KiB, GiB,
             "Bytes that wait for one client; beyond it the client counts as gone."),
      number(SETTING(zmq.ack_timeout_ms), 100, 600'000,
             "A client that promised acks and sends none for so long is gone."),
      number(SETTING(zmq.retry_ms), 1, 10'000, "How often a full queue is tried again."),

      number(SETTING(scheduler.missed_beats), 2, 1000,
             "A member that was silent for so many beats is dead."),
      number(SETTING(scheduler.cut_beats), 1, 1000,
             "A member that lost its connection and was silent since is dead after so many."),
      number(SETTING(scheduler.settle_ms), 0, 60'000,
             "A scheduler that restarts learns what runs where so long before it places."),
      number(SETTING(scheduler.remember_dead_ms), 0, 86'400'000,
             "Dead members stay listed so long, for people to see."),
      number(SETTING(scheduler.remember_slots_ms), 0, 86'400'000,
             "The most slots seen count so long while executors restart."),
      number(SETTING(scheduler.remember_requests), 0, 1e6,
             "Ended requests of which is remembered what was paid, for those that are carried on; "
             "about 250 bytes each."),
      number(SETTING(scheduler.floor_high_percent), 0, 50,
             "Share of the slots that tier high keeps while it has waiters."),
      number(SETTING(scheduler.floor_normal_percent), 0, 50, "The same for tier normal."),
      number(SETTING(scheduler.head_passes), 0, 1000,
             "How often a request that fits nowhere may be passed by those behind it."),
      number(SETTING(scheduler.prompt_token_cost), 0, 10,
             "What a prompt token costs its tenant, where a generated one costs 1."),
      number(SETTING(scheduler.slow_start_ms), 0, 600'000,
             "A new executor's slots are preferred little by little over this time."),
      number(SETTING(scheduler.probation_ms), 0, 600'000,
             "An executor that crashed or stalled takes one request at a time until one brings a "
             "token, or for so long."),
      number(SETTING(scheduler.stall_ms), 100, 600'000,
             "An executor with requests on board that finishes no step for so long is stalled."),
      number(SETTING(scheduler.stall_steps), 1, 10'000,
             "Or for so many of its median or prefill steps, whichever is longest."),
      number(SETTING(scheduler.stall_most_ms), 0, 600'000,
             "That limit doubles, up to this, each time that a stalled executor steps again."),
      number(SETTING(scheduler.stall_calm_ms), 0, 86'400'000,
             "It falls by half when the executor has not been stalled for so long."),
      number(SETTING(scheduler.assumed_prefill_per_second), 1, 1e9,
             "Prompt tokens per second taken for an executor that has not measured its own."),
      number(
          SETTING(scheduler.remember_prefixes), 0, 1e7,
          "Blocks remembered of an executor, those placed last, up to as many as it has; about 100 "
          "bytes each. 0: requests are placed without a thought of caches."),

      number(SETTING(executor.resend_ms), 10, 60'000,
             "Tokens that are not acknowledged are sent again after so long."),
      number(SETTING(executor.min_lease_ms), 10, 60'000, "The shortest lease that is taken."),
      number(SETTING(executor.max_lease_ms), 100, 3'600'000, "The longest lease that is taken."),
      number(SETTING(executor.hang_up_ms), 100, 600'000,
             "An admission that is no member any more is hung up after so long."),
      number(SETTING(executor.cache_wait_ms), 0, 600'000,
             "The cache may take so long to answer; then the executor packs for itself."),
      number(SETTING(executor.cache_silence_ms), 100, 600'000,
             "And be silent so long while it packs."),
      choice(SETTING(executor.drain_mode), {"finish", "hand_over"},
             "Draining: let what runs finish within drain.drain_s, or hand it over at once."),

      choice(SETTING(engine.kind), {"cpu", "fake"},
             "What computes: cpu, or fake, which draws tokens of the model's vocabulary by hashing "
             "and "
             "needs no weights."),
      number(SETTING(engine.threads), 0, 256,
             "Threads of one executor's engine; 0: the cores that this process may use, shared by "
             "node.executors."),
      choice(SETTING(engine.isa), {"auto", "scalar", "avx2", "avxvnni", "avx512"},
             "Instruction set of the kernels; auto is the best this machine has."),
      number(SETTING(engine.slots), 1, 4096, "Requests that an executor runs at once."),
      number(SETTING(engine.step_tokens), 1, 65536,
             "Token positions of one step: decodes and prefill chunks together."),
      number(SETTING(engine.blocks), 1, 1e7,
             "KV blocks of 16 positions in an executor's pool; taken as tokens come."),
      flag(SETTING(engine.prefix_cache),
           "Keep the KV of full blocks that no request holds, for prompts of the same tenant that "
           "begin alike; no bit of an answer changes."),
      number(
          SETTING(engine.draft_tokens), 0, 64,
          "Tokens guessed ahead from a request's own ids and verified in one step, at most; no bit "
          "of an answer changes. 0: none."),
      number(SETTING(engine.fake_step_us), 0, 10'000'000, "The fake model's time for a step."),
      number(SETTING(engine.fake_context_tokens), 16, 1e6, "The fake model's context."),
      number(SETTING(engine.fake_stop_one_in), 0, 1e6,
             "About one of so many tokens of the fake model ends its answer; 0: none."),
      number(SETTING(engine.fake_poison_id), 0, 255,
             "A prompt with this id crashes the fake engine; 0: none."),
      number(
          SETTING(engine.fake_thinking_tokens), 0, 1e6,
          "The fake model's answers begin with so many tokens of thinking; 0: it does not think."),

      number(SETTING(node.executors), 0, 64,
             "Executors that this host starts with; `aorta scale executors=N` changes it."),
      text(SETTING(node.name_prefix),
           "Executors are called by it and a number, another one on each host; empty: executor "
           "under `aorta up`, executor-HOSTNAME under `aorta serve node`."),
      choice(SETTING(node.child_logs), {"files", "stderr"},
             "Where its children write: each to a file in the state folder's logs, or all to the "
             "agent's own stderr, as containers want."),
      number(SETTING(node.max_executors), 1, 1024,
             "The most executors this host may be asked for."),
      number(SETTING(node.backoff_first_ms), 10, 60000,
             "Wait before the second restart after a counted crash; it doubles from there."),
      number(SETTING(node.backoff_max_ms), 100, 600000, "The longest wait before a restart."),
      number(SETTING(node.orphan_drain_ms), 100, 600000,
             "How long children may drain when their node agent is gone."),

      text(SETTING(monitor.bind), "Address of the monitor's HTTP: /metrics and /health."),
      choice(SETTING(monitor.actuator), {"node", "none"},
             "Who starts and stops executors for `aorta scale`: the node agents, or none of us, "
             "where containers are run by compose or Kubernetes."),
      number(SETTING(monitor.report_ms), 100, 60000,
             "How often a service reports its figures to the monitor."),
      number(SETTING(monitor.audit_ms), 100, 600000,
             "How long an audit may wait for every member and for its balances."),

      text(SETTING(cache.folder),
           "Where packed weights lie; empty: ${XDG_CACHE_HOME:-~/.cache}/aorta/packs."),
      number(SETTING(cache.max_bytes), MiB, 1024 * TiB,
             "Bytes of packed weights to keep; those that nobody uses go first."),
      text(SETTING(cache.kv_folder),
           "Where the file lies in which this host's executors share KV blocks: a folder in "
           "memory."),
      number(
          SETTING(cache.kv_bytes), 0, 16 * TiB,
          "Its bytes at most, taken as they are needed; 0: there is none, and blocks go with their "
          "executor."),

      number(SETTING(drain.drain_s), 0, 3600,
             "How long SIGTERM lets running requests finish or be handed over."),

      choice(SETTING(log.level), {"debug", "info", "warning", "error"},
             "The least level that is logged; read again at SIGHUP."),
      choice(SETTING(log.format), {"text", "json"}, "How an event is written, a line each."),
  };
}

}  // namespace

const std::vector<Section>& config_sections() {
  static const std::vector<Section> sections = {
      {"mesh", "Where the services of a mesh meet."},
      {"model", "What is served."},
      {"admission", "What is accepted, and how long it is remembered."},
      {"journal", "What is accepted is written down first, so that it outlives its admission."},
      {"security", "Who may join the mesh, and who may ask it."},
      {"http", "The front for OpenAI's clients."},
      {"zmq", "The front for ZeroMQ clients."},
      {"scheduler", "Who is served first and where; who is dead."},
      {"executor", "An engine's place in the mesh."},
      {"engine", "The model on this machine's cores."},
      {"node", "The node agent, which starts and stops this host's executors."},
      {"monitor", "Metrics, membership and audit."},
      {"cache", "Packed weights on this host."},
      {"drain", "Leaving without losing a request."},
      {"log", "Events on stderr."},
  };
  return sections;
}

const std::vector<Setting>& config_settings() {
  static const std::vector<Setting> settings = make_settings();
  return settings;
}

const Setting* find_setting(std::string_view key) {
  for (const Setting& setting : config_settings()) {
    if (setting.key == key) return &setting;
  }
  return nullptr;
}

std::string allowed_values(const Setting& setting) {
  Config config;
  const Field field = setting.field(config);
  if (std::holds_alternative<bool*>(field)) return "true or false";
  if (std::holds_alternative<std::string*>(field)) {
    if (setting.allowed.empty()) return "any text";
    return fmt::format("one of {}", fmt::join(setting.allowed, ", "));
  }
  const bool whole = !std::holds_alternative<double*>(field);
  return whole ? fmt::format("a whole number from {:.0f} to {:.0f}", setting.min, setting.max)
               : fmt::format("a number from {:g} to {:g}", setting.min, setting.max);
}

std::string value_text(const Setting& setting, const Config& config) {
  // The accessor hands out mutable places; this reads one.
  const Field field = setting.field(const_cast<Config&>(config));
  struct Print {
    std::string operator()(const bool* value) const { return *value ? "true" : "false"; }
    std::string operator()(const std::string* value) const { return *value; }
    std::string operator()(const double* value) const { return fmt::format("{}", *value); }
    std::string operator()(const std::uint32_t* value) const { return std::to_string(*value); }
    std::string operator()(const std::uint64_t* value) const { return std::to_string(*value); }
  };
  return std::visit(Print{}, field);
}

}  // namespace aorta
