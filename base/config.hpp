#pragma once
// Every setting of Aorta: a struct per section, its default in place. Ranges and sentences are in
// the table of config_schema.cpp, from which YAML, `--set`, the environment, `aorta config show`
// and configs/aorta.yaml all come.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace aorta {

struct Config {
  struct Mesh {
    std::uint32_t port_base = 8080;
    std::string state_folder;
    std::string bind = "ipc";
    std::string advertise;
    std::string scheduler;
    std::string monitor;
    std::string cache;
    bool insecure = false;
    std::uint32_t beat_ms = 100;
    std::uint32_t hello_ms = 200;
    std::uint32_t max_message_bytes = 16u << 20;
    std::uint32_t send_queue_messages = 10000;
  } mesh;
  struct Model {
    std::string path;
    std::string id;
    double temperature = -1;
    double top_p = -1;
  } model;
  struct Admission {
    std::uint32_t default_max_tokens = 1024;
    std::uint32_t default_timeout_ms = 600'000;
    std::uint32_t max_timeout_ms = 3'600'000;
    std::uint32_t max_choices = 16;
    std::uint32_t open_requests = 2048;
    std::uint32_t open_per_tenant = 1024;
    std::uint32_t max_wait_urgent_ms = 2'000;
    std::uint32_t max_wait_high_ms = 10'000;
    std::uint32_t max_wait_normal_ms = 60'000;
    std::uint32_t hold_ms = 10'000;
    std::uint32_t urgent_share_percent = 50;
    std::uint32_t blind_requests = 64;
    std::uint32_t prefix_blocks = 512;
    std::uint32_t lease_ms = 5'000;
    std::uint32_t waiting_ms = 1'000;
    std::uint32_t poison_crashes = 3;
    std::uint32_t park_ms = 60'000;
    std::uint32_t retain_ms = 60'000;
    std::uint32_t retain_requests = 4096;
    std::uint64_t retain_bytes = 64ull << 20;
    std::uint32_t audit_requests = 1000;
  } admission;
  struct Journal {
    std::string folder;
    std::string sync = "process";
    std::uint32_t sync_ms = 100;
    std::uint32_t wait_ms = 5'000;
    std::uint64_t max_bytes = 1ull << 30;
  } journal;
  struct Security {
    std::string keys_folder;
    std::string api_keys = "auto";
    std::string api_keys_file;
  } security;
  struct Http {
    std::string bind = "127.0.0.1";
    std::string tls_certificate;
    std::string tls_key;
    std::string cors_origins;
    std::uint32_t max_connections = 4096;
    std::uint32_t max_header_bytes = 16u << 10;
    std::uint32_t max_body_bytes = 4u << 20;
    std::uint64_t max_bodies_bytes = 256ull << 20;
    std::uint32_t header_timeout_ms = 10'000;
    std::uint32_t body_timeout_ms = 60'000;
    std::uint32_t idle_timeout_ms = 75'000;
    std::uint32_t write_timeout_ms = 60'000;
    std::uint32_t hold_bytes = 64u << 10;
    std::uint32_t max_unsent_bytes = 8u << 20;
  } http;
  struct Zmq {
    std::string bind = "127.0.0.1";
    bool curve = false;
    std::uint32_t max_message_bytes = 4u << 20;
    std::uint32_t max_peers = 4096;
    std::uint32_t max_streams_per_peer = 1024;
    std::uint32_t send_queue_messages = 1000;
    std::uint32_t max_unsent_bytes = 8u << 20;
    std::uint32_t ack_timeout_ms = 5000;
    std::uint32_t retry_ms = 20;
  } zmq;
  struct Scheduler {
    std::uint32_t missed_beats = 20;
    std::uint32_t cut_beats = 5;
    std::uint32_t settle_ms = 300;
    std::uint32_t remember_dead_ms = 60'000;
    std::uint32_t remember_slots_ms = 30'000;
    std::uint32_t remember_requests = 16'384;
    std::uint32_t floor_high_percent = 15;
    std::uint32_t floor_normal_percent = 10;
    std::uint32_t head_passes = 8;
    double prompt_token_cost = 0.25;
    std::uint32_t slow_start_ms = 10'000;
    std::uint32_t probation_ms = 10'000;
    std::uint32_t stall_ms = 2'000;
    std::uint32_t stall_steps = 10;
    std::uint32_t stall_most_ms = 16'000;
    std::uint32_t stall_calm_ms = 60'000;
    std::uint32_t assumed_prefill_per_second = 1000;
    std::uint32_t remember_prefixes = 65'536;
  } scheduler;
  struct Executor {
    std::uint32_t resend_ms = 500;
    std::uint32_t min_lease_ms = 200;
    std::uint32_t max_lease_ms = 60'000;
    std::uint32_t hang_up_ms = 5'000;
    std::uint32_t cache_wait_ms = 1'000;
    std::uint32_t cache_silence_ms = 5'000;
    std::string drain_mode = "finish";
  } executor;
  struct Engine {
    std::string kind = "cpu";
    std::uint32_t threads = 0;
    std::string isa = "auto";
    std::uint32_t slots = 16;
    std::uint32_t step_tokens = 256;
    std::uint32_t blocks = 2048;
    bool prefix_cache = true;
    std::uint32_t draft_tokens = 4;
    std::uint32_t fake_step_us = 0;
    std::uint32_t fake_context_tokens = 8192;
    std::uint32_t fake_stop_one_in = 0;
    std::uint32_t fake_poison_id = 0;
    std::uint32_t fake_thinking_tokens = 0;
  } engine;
  struct Node {
    std::uint32_t executors = 1;
    std::string name_prefix;
    std::string child_logs = "files";
    std::uint32_t max_executors = 64;
    std::uint32_t backoff_first_ms = 100;
    std::uint32_t backoff_max_ms = 10000;
    std::uint32_t orphan_drain_ms = 10000;
  } node;
  struct Monitor {
    std::string bind = "127.0.0.1";
    std::string actuator = "node";
    std::uint32_t report_ms = 1000;
    std::uint32_t audit_ms = 5000;
  } monitor;
  struct Cache {
    std::string folder;
    std::uint64_t max_bytes = 64ull << 30;
    std::string kv_folder = "/dev/shm";
    std::uint64_t kv_bytes = 256ull << 20;
  } cache;
  struct Drain {
    std::uint32_t drain_s = 30;
  } drain;
  struct Log {
    std::string level = "info";
    std::string format = "text";
  } log;
};

// ── The table ────────────────────────────────────────────────────────────────────────────────
using Field = std::variant<bool*, std::uint32_t*, std::uint64_t*, double*, std::string*>;

struct Setting {
  std::string key;                      // "http.max_body_bytes"
  std::function<Field(Config&)> field;  // where its value lives
  double min = 0, max = 0;              // numbers only, both inclusive
  std::vector<std::string> allowed;     // strings only; empty: any text
  std::string sentence;
};

struct Section {
  std::string name;
  std::string sentence;
};

const std::vector<Section>& config_sections();  // in the order they are shown
const std::vector<Setting>& config_settings();  // by section, in the order they are shown
const Setting* find_setting(std::string_view key);
// "1 to 65531", "true or false", "one of text, json", "any text".
std::string allowed_values(const Setting& setting);
std::string value_text(const Setting& setting, const Config& config);

// ── Loading: defaults, then a file, then the environment, then --set ─────────────────────────
// Errors say where ("aorta.yaml:12", "--set http.prot", "AORTA_HTTP_PROT"), which key, and what is
// allowed. All of them are invalid_argument, a file that cannot be read not_found or io.
Result<void> assign(Config& config, std::string_view key, std::string_view text);
Result<void> load_yaml(Config& config, const std::string& text, const std::string& name);
Result<void> load_yaml_file(Config& config, const std::string& path);
Result<void> load_set(Config& config, const std::string& assignment);  // "a.b=c"
// Variables AORTA_SECTION_KEY; one that names a section but no setting of it is an error.
Result<void> load_environment(Config& config, const char* const* environment);

// The whole configuration as commented YAML; of the defaults it is configs/aorta.yaml.
std::string render_yaml(const Config& config);

}  // namespace aorta
