#include "services/options.hpp"

#include <fmt/format.h>

#include "engine/model/pack.hpp"
#include "services/version.hpp"

namespace aorta::services {
namespace {

using mesh::ServiceKind;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string scheduler_at(const Config& config, Reach reach) {
  return dial_endpoint(config, reach, ServiceKind::scheduler, "scheduler");
}
std::string monitor_at(const Config& config, Reach reach) {
  return dial_endpoint(config, reach, ServiceKind::monitor, "monitor");
}

actors::AttendanceOptions attendance(const Config& config, Reach reach) {
  return {.scheduler_address = scheduler_at(config, reach),
          .monitor_address = monitor_at(config, reach),
          .beat_every = milliseconds(config.mesh.beat_ms),
          .report_every = milliseconds(config.monitor.report_ms)};
}

mesh::PeeringOptions peering(const Config& config) {
  mesh::PeeringOptions options;
  options.hello_every = milliseconds(config.mesh.hello_ms);
  return options;
}

}  // namespace

milliseconds farewell(const Config& config) {
  return std::min(milliseconds(2000), milliseconds(config.drain.drain_s * 250));
}

admission::AdmissionOptions admission_options(const Config& config, Reach reach) {
  const auto& from = config.admission;
  admission::AdmissionOptions options;
  options.scheduler_address = scheduler_at(config, reach);
  options.monitor_address = monitor_at(config, reach);
  options.default_model = model_of(config).id;
  options.default_max_tokens = from.default_max_tokens;
  const DefaultSampling sampling = default_sampling(config);
  options.default_temperature = sampling.temperature;
  options.default_top_p = sampling.top_p;
  options.default_timeout_ms = from.default_timeout_ms;
  options.max_timeout_ms = from.max_timeout_ms;
  options.max_choices = from.max_choices;
  options.open_requests = from.open_requests;
  options.open_per_tenant = from.open_per_tenant;
  options.max_wait_ms = {from.max_wait_urgent_ms, from.max_wait_high_ms, from.max_wait_normal_ms};
  options.hold_ms = from.hold_ms;
  options.urgent_share_percent = from.urgent_share_percent;
  options.blind_requests = from.blind_requests;
  options.journal = config.journal.sync != "none";
  options.journal_wait_ms = config.journal.wait_ms;
  options.prefix_blocks = config.engine.prefix_cache ? from.prefix_blocks : 0;
  options.lease_ms = from.lease_ms;
  options.beat_every_ms = config.mesh.beat_ms;
  options.report_every_ms = config.monitor.report_ms;
  options.waiting_every_ms = from.waiting_ms;
  options.poison_crashes = from.poison_crashes;
  options.park_ms = from.park_ms;
  options.retain_ms = from.retain_ms;
  options.retain_requests = from.retain_requests;
  options.retain_bytes = from.retain_bytes;
  options.audit_requests = from.audit_requests;
  options.drain_ms =
      config.drain.drain_s * 1000 - 2 * static_cast<std::uint32_t>(farewell(config).count());
  return options;
}

admission::JournalWriterOptions journal_options(const Config& config, const mesh::PeerId& self) {
  admission::JournalWriterOptions options;
  options.file.path = fmt::format("{}/{}.sqlite", journal_folder(config), self.name);
  options.file.owner = self.incarnation;
  options.file.mesh = state_folder(config);
  options.file.sync_each = config.journal.sync == "disk";
  options.file.max_bytes = config.journal.max_bytes;
  options.sync_every = milliseconds(config.journal.sync_ms);
  return options;
}

fronts::HttpOptions http_options(const Config& config) {
  const auto& from = config.http;
  fronts::HttpOptions options;
  options.bind = from.bind;
  options.port = static_cast<std::uint16_t>(config.mesh.port_base);
  options.version = version_number;
  options.cors_origins = from.cors_origins;
  options.max_connections = from.max_connections;
  options.max_header_bytes = from.max_header_bytes;
  options.max_body_bytes = from.max_body_bytes;
  options.max_bodies_bytes = from.max_bodies_bytes;
  options.header_timeout_ms = from.header_timeout_ms;
  options.body_timeout_ms = from.body_timeout_ms;
  options.idle_timeout_ms = from.idle_timeout_ms;
  options.write_timeout_ms = from.write_timeout_ms;
  options.hold_bytes = from.hold_bytes;
  options.max_unsent_bytes = from.max_unsent_bytes;
  return options;
}

fronts::ZmqOptions zmq_options(const Config& config) {
  const auto& from = config.zmq;
  fronts::ZmqOptions options;
  options.binds = {fmt::format("tcp://{}:{}", from.bind, config.mesh.port_base + 1)};
  options.max_message_bytes = from.max_message_bytes;
  options.max_peers = from.max_peers;
  options.max_streams_per_peer = from.max_streams_per_peer;
  options.send_queue_messages = from.send_queue_messages;
  options.max_unsent_bytes = from.max_unsent_bytes;
  options.ack_timeout_ms = from.ack_timeout_ms;
  options.retry_ms = from.retry_ms;
  return options;
}

scheduler::SchedulerOptions scheduler_options(const Config& config, Reach reach) {
  const auto& from = config.scheduler;
  scheduler::SchedulerOptions options;
  options.monitor_address = monitor_at(config, reach);
  options.beat_every = milliseconds(config.mesh.beat_ms);
  options.missed_beats = from.missed_beats;
  options.cut_beats = from.cut_beats;
  // In one process nothing outlives the scheduler that it would have to learn of.
  options.settle = milliseconds(reach == Reach::process ? 0 : from.settle_ms);
  options.remember_dead = milliseconds(from.remember_dead_ms);
  options.remember_slots = milliseconds(from.remember_slots_ms);
  options.remember_requests = from.remember_requests;
  options.policy.floor_percent = {0, from.floor_high_percent, from.floor_normal_percent};
  options.policy.head_passes = from.head_passes;
  options.policy.prompt_token_cost = from.prompt_token_cost;
  options.executors.slow_start = milliseconds(from.slow_start_ms);
  options.executors.probation = milliseconds(from.probation_ms);
  options.executors.stall_after = milliseconds(from.stall_ms);
  options.executors.stall_steps = from.stall_steps;
  options.executors.stall_most = milliseconds(from.stall_most_ms);
  options.executors.stall_calm = milliseconds(from.stall_calm_ms);
  options.executors.step_tokens = config.engine.step_tokens;
  options.executors.assumed_prefill_per_second = from.assumed_prefill_per_second;
  options.executors.remember_prefixes = from.remember_prefixes;
  return options;
}

executor::ExecutorOptions executor_options(const Config& config, Reach reach) {
  const auto& from = config.executor;
  executor::ExecutorOptions options;
  options.scheduler_address = scheduler_at(config, reach);
  options.monitor_address = monitor_at(config, reach);
  options.cache_address = dial_endpoint(config, reach, ServiceKind::cache, "cache");
  const Model model = model_of(config);
  if (!model.fake_engine) options.gguf_path = model.path;
  options.beat_every = milliseconds(config.mesh.beat_ms);
  options.report_every = milliseconds(config.monitor.report_ms);
  options.resend_after = milliseconds(from.resend_ms);
  options.min_lease = milliseconds(from.min_lease_ms);
  options.max_lease = milliseconds(from.max_lease_ms);
  options.hang_up_after = milliseconds(from.hang_up_ms);
  options.cache_wait = milliseconds(from.cache_wait_ms);
  options.cache_silence = milliseconds(from.cache_silence_ms);
  options.drain_mode =
      from.drain_mode == "finish" ? executor::DrainMode::finish : executor::DrainMode::hand_over;
  options.drain_for = seconds(config.drain.drain_s);
  return options;
}

engine::FakeOptions fake_options(const Config& config) {
  engine::FakeOptions options;
  options.model_id = model_of(config).id;
  options.step_us = config.engine.fake_step_us;
  options.context_tokens = config.engine.fake_context_tokens;
  options.stop_one_in = config.engine.fake_stop_one_in;
  if (config.engine.fake_poison_id > 0) {
    options.poison = static_cast<TokenId>(config.engine.fake_poison_id);
  }
  options.thinking_tokens = config.engine.fake_thinking_tokens;
  return options;
}

Result<executor::EngineOptions> engine_options(const Config& config) {
  const auto& from = config.engine;
  const Model model = model_of(config);
  executor::EngineOptions options;
  options.fake = model.fake_engine;
  options.fake_model = fake_options(config);
  if (model.fake_engine && !model.fake()) {
    const auto text = engine::TextModel::open(model.path);
    if (!text) return text.error();
    options.fake_model.vocabulary = (*text)->vocabulary();
    options.fake_model.context_tokens = (*text)->context_tokens();
    options.fake_model.stop_id = (*text)->stop_ids().empty() ? -1 : (*text)->stop_ids().front();
  }
  options.model.gguf_path = model.path;
  options.model.model_id = model.id;
  options.model.threads = engine_threads(config);
  options.model.isa = from.isa;
  options.model.blocks = from.blocks;
  options.model.step_tokens = from.step_tokens;
  options.pack_folder = pack_folder(config);
  if (!options.fake) {
    const auto packed = engine::find_pack(model.path, options.pack_folder);
    if (packed) options.model.pack_path = *packed;
  }
  options.limits = {.slots = from.slots,
                    .step_tokens = from.step_tokens,
                    .blocks = from.blocks,
                    .prefix_cache = from.prefix_cache,
                    .draft_tokens = from.draft_tokens};
  return options;
}

cache::CacheOptions cache_options(const Config& config, Reach reach) {
  cache::CacheOptions options;
  options.attendance = attendance(config, reach);
  options.peering = peering(config);
  options.max_bytes = config.cache.max_bytes;
  options.shares_blocks = config.cache.kv_bytes > 0;
  return options;
}

monitor::MonitorOptions monitor_options(const Config& config, Reach reach) {
  monitor::MonitorOptions options;
  options.attendance = attendance(config, reach);
  options.attendance.monitor_address.clear();
  options.peering = peering(config);
  options.max_executors = config.node.max_executors;
  options.audit_for = milliseconds(config.monitor.audit_ms);
  options.actuates = config.monitor.actuator == "node";
  return options;
}

monitor::MonitorHttpOptions monitor_http_options(const Config& config) {
  monitor::MonitorHttpOptions options;
  options.bind = config.monitor.bind;
  options.port = static_cast<std::uint16_t>(config.mesh.port_base + 2);
  return options;
}

node::NodeOptions node_options(const Config& config, Reach reach) {
  node::NodeOptions options;
  options.attendance = attendance(config, reach);
  options.peering = peering(config);
  options.restart.backoff_first = milliseconds(config.node.backoff_first_ms);
  options.restart.backoff_max = milliseconds(config.node.backoff_max_ms);
  options.restart.stop_patience = seconds(config.drain.drain_s + 5);
  options.executors = config.node.executors;
  options.max_executors = config.node.max_executors;
  if (!config.node.name_prefix.empty()) options.name_prefix = config.node.name_prefix;
  return options;
}

actors::HostOptions host_options(const Config& config) {
  return {.max_message_bytes = config.mesh.max_message_bytes,
          .send_queue_messages = config.mesh.send_queue_messages};
}

}  // namespace aorta::services
