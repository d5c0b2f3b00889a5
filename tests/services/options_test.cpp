// The default configuration is what each service does by default: the table of settings and the
// options of the cores say the same.
#include "services/options.hpp"

#include <gtest/gtest.h>

namespace aorta::services {
namespace {

#define SAME(field) EXPECT_EQ(configured.field, built_in.field) << #field

TEST(Options, Admission) {
  const auto configured = admission_options(Config{}, Reach::host);
  const admission::AdmissionOptions built_in;
  SAME(default_max_tokens);
  SAME(default_timeout_ms);
  SAME(max_timeout_ms);
  SAME(max_choices);
  SAME(open_requests);
  SAME(open_per_tenant);
  SAME(max_wait_ms);
  SAME(hold_ms);
  SAME(urgent_share_percent);
  SAME(blind_requests);
  SAME(lease_ms);
  SAME(beat_every_ms);
  SAME(report_every_ms);
  SAME(waiting_every_ms);
  SAME(poison_crashes);
  SAME(park_ms);
  SAME(retain_ms);
  SAME(retain_requests);
  SAME(retain_bytes);
  SAME(audit_requests);
  SAME(drain_ms);
}

TEST(Options, SamplingOfRequestsThatNameNone) {
  Config config;
  EXPECT_EQ(default_sampling(config).temperature, 0.2f) << "the demo model's";
  EXPECT_EQ(default_sampling(config).top_p, 0.9f);
  config.model.path = "/models/another.gguf";
  EXPECT_EQ(default_sampling(config).temperature, 1);
  EXPECT_EQ(default_sampling(config).top_p, 1);
  config.model.temperature = 0;
  config.model.top_p = 0.5;
  const auto options = admission_options(config, Reach::host);
  EXPECT_EQ(options.default_temperature, 0);
  EXPECT_EQ(options.default_top_p, 0.5f);
}

TEST(Options, AllOfADrainFitsIntoItsTime) {
  Config config;
  for (std::uint32_t drain_s : {0u, 1u, 30u}) {
    config.drain.drain_s = drain_s;
    const std::chrono::milliseconds requests(admission_options(config, Reach::host).drain_ms);
    EXPECT_EQ(requests + 2 * farewell(config), std::chrono::seconds(drain_s));
    EXPECT_GE(2 * requests, std::chrono::seconds(drain_s));
  }
}

TEST(Options, Fronts) {
  {
    const auto configured = http_options(Config{});
    const fronts::HttpOptions built_in;
    SAME(bind);
    SAME(port);
    SAME(max_connections);
    SAME(max_header_bytes);
    SAME(max_body_bytes);
    SAME(max_bodies_bytes);
    SAME(header_timeout_ms);
    SAME(body_timeout_ms);
    SAME(idle_timeout_ms);
    SAME(write_timeout_ms);
    SAME(hold_bytes);
    SAME(max_unsent_bytes);
  }
  {
    const auto configured = zmq_options(Config{});
    const fronts::ZmqOptions built_in;
    SAME(binds);
    SAME(max_message_bytes);
    SAME(max_peers);
    SAME(max_streams_per_peer);
    SAME(send_queue_messages);
    SAME(max_unsent_bytes);
    SAME(ack_timeout_ms);
    SAME(retry_ms);
  }
}

TEST(Options, Scheduler) {
  const auto configured = scheduler_options(Config{}, Reach::host);
  const scheduler::SchedulerOptions built_in;
  SAME(beat_every);
  SAME(missed_beats);
  SAME(cut_beats);
  SAME(settle);
  SAME(remember_dead);
  SAME(remember_slots);
  SAME(remember_requests);
  SAME(policy.floor_percent);
  SAME(policy.head_passes);
  SAME(policy.prompt_token_cost);
  SAME(executors.slow_start);
  SAME(executors.probation);
  SAME(executors.stall_after);
  SAME(executors.stall_steps);
  SAME(executors.stall_most);
  SAME(executors.stall_calm);
  SAME(executors.assumed_prefill_per_second);
}

TEST(Options, Executor) {
  const auto configured = executor_options(Config{}, Reach::host);
  const executor::ExecutorOptions built_in;
  SAME(beat_every);
  SAME(report_every);
  SAME(resend_after);
  SAME(min_lease);
  SAME(max_lease);
  SAME(hang_up_after);
  SAME(cache_wait);
  SAME(cache_silence);
  SAME(drain_mode);
  SAME(drain_for);
}

TEST(Options, CacheMonitorAndNode) {
  {
    const auto configured = cache_options(Config{}, Reach::host);
    const cache::CacheOptions built_in;
    SAME(max_bytes);
    SAME(attendance.beat_every);
    SAME(attendance.report_every);
    SAME(peering.hello_every);
  }
  {
    const auto configured = monitor_options(Config{}, Reach::host);
    const monitor::MonitorOptions built_in;
    SAME(max_executors);
    SAME(audit_for);
    SAME(actuates);
    EXPECT_EQ(configured.attendance.monitor_address, "") << "it reports to nobody";
  }
  {
    const auto configured = node_options(Config{}, Reach::host);
    const node::NodeOptions built_in;
    SAME(executors);
    SAME(max_executors);
    SAME(name_prefix);
    SAME(restart.backoff_first);
    SAME(restart.backoff_max);
    SAME(restart.stop_patience);
  }
}

TEST(Options, ServicesOfOneHostMeetInItsStateFolder) {
  Config config;
  config.mesh.state_folder = "/tmp/state";
  const auto executor = executor_options(config, Reach::host);
  EXPECT_EQ(executor.scheduler_address, "ipc:///tmp/state/scheduler.sock");
  EXPECT_EQ(executor.cache_address, "ipc:///tmp/state/cache.sock");
  EXPECT_EQ(executor_options(config, Reach::process).scheduler_address, "inproc://aorta/scheduler");
}

TEST(Options, BetweenHostsTheAdvertisedAddressIsDialled) {
  Config config;
  config.mesh.port_base = 9000;
  config.mesh.bind = "0.0.0.0";
  config.mesh.advertise = "gpu-1";
  EXPECT_EQ(bind_endpoint(config, Reach::network, mesh::ServiceKind::scheduler, "scheduler"),
            "tcp://0.0.0.0:9003");
  EXPECT_EQ(dial_endpoint(config, Reach::network, mesh::ServiceKind::admission, "admission"),
            "tcp://gpu-1:9004");
  config.mesh.scheduler = "tcp://control:9003";
  EXPECT_EQ(dial_endpoint(config, Reach::network, mesh::ServiceKind::scheduler, "scheduler"),
            "tcp://control:9003");
}
}  // namespace
}  // namespace aorta::services
