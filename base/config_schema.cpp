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
           "Listen beyond loopback although nothing asks for keys yet: only on a network where "
           "everybody is trusted."),
      number(SETTING(mesh.beat_ms), 10, 10000,
             "How often a service sends its full state to the scheduler."),
      number(SETTING(mesh.hello_ms), 10, 10000,
             "How often a service introduces itself until it is answered."),
      number(SETTING(mesh.max_message_bytes), 64 * KiB, GiB,
             "The largest message between services; larger ones are dropped and counted."),
      number(SETTING(mesh.send_queue_messages), 100, 1e6,
             "Messages that wait for one peer; beyond it they are dropped, counted and repaired."),

      text(SETTING(model.path),
           "The model's GGUF file, or fake for an engine without weights; empty: the demo model in "
           "${XDG_CACHE_HOME:-~/.cache}/aorta/models."),
      text(SETTING(model.id), "The name clients ask for; empty: the file's name without .gguf."),

      number(SETTING(node.executors), 0, 64,
             "Executors that this host starts with; `aorta scale executors=N` changes it."),
      text(SETTING(node.name_prefix),
           "Executors are called by it and a number; another one on each host."),
      number(SETTING(node.max_executors), 1, 1024,
             "The most executors this host may be asked for."),
      number(SETTING(node.backoff_first_ms), 10, 60000,
             "Wait before the second restart after a counted crash; it doubles from there."),
      number(SETTING(node.backoff_max_ms), 100, 600000, "The longest wait before a restart."),
      number(SETTING(node.orphan_drain_ms), 100, 600000,
             "How long children may drain when their node agent is gone."),

      text(SETTING(monitor.bind), "Address of the monitor's HTTP: /metrics and /health."),
      number(SETTING(monitor.report_ms), 100, 60000,
             "How often a service reports its figures to the monitor."),
      number(SETTING(monitor.audit_ms), 100, 600000,
             "How long an audit may wait for every member and for its balances."),

      text(SETTING(cache.folder),
           "Where packed weights lie; empty: ${XDG_CACHE_HOME:-~/.cache}/aorta/packs."),
      number(SETTING(cache.max_bytes), MiB, 1024 * TiB,
             "Bytes of packed weights to keep; those that nobody uses go first."),

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
