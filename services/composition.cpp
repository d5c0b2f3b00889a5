#include "services/composition.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "actors/cache/cache_shell.hpp"
#include "actors/monitor/fleet.hpp"
#include "actors/monitor/monitor_shell.hpp"
#include "actors/node/node_shell.hpp"
#include "actors/scheduler/scheduler.hpp"
#include "base/log.hpp"
#include "engine/fake/fake_text_model.hpp"
#include "services/admission_service.hpp"
#include "services/exposure.hpp"
#include "services/key_files.hpp"
#include "services/open_files.hpp"
#include "services/options.hpp"

namespace aorta::services {

using mesh::ServiceKind;
using monitor::name_of;

Composition::Composition(const Config& config, bool one_process)
    : config_(config), reach_(reach_of(config, one_process)), host_(host_options(config)) {}

Composition::~Composition() {
  // Shells go before the fronts they speak to, and all of them before the host.
  shells_.clear();
  admission_.reset();
}

void Composition::when_ready(std::function<void()> ready) {
  admission_->when_ready(std::move(ready));
}

mesh::Hello Composition::hello(ServiceKind kind, const std::string& name,
                               Incarnation incarnation) const {
  mesh::Hello hello;
  hello.kind = kind;
  hello.self = {name, incarnation};
  hello.pid = static_cast<std::uint32_t>(::getpid());
  hello.host = host_name();
  const bool binder = kind != ServiceKind::executor && kind != ServiceKind::node;
  if (binder) hello.address = dial_endpoint(config_, reach_, kind, name);
  return hello;
}

// Only a network is met under keys; one process of it runs services of one role.
Result<void> Composition::use_mesh_keys(ServiceKind role) {
  if (reach_ != Reach::network) return {};
  auto keys = load_mesh_keys(config_, role);
  if (!keys) return keys.error();
  if (*keys) host_.use_keys(std::make_shared<mesh::MeshKeys>(std::move(**keys)));
  return {};
}

// At first, and again at SIGHUP: those who ask for keys hold the same object.
Result<void> Composition::read_api_keys() {
  auto keys = load_api_keys(config_);
  if (!keys) return keys.error();
  if (!api_keys_) api_keys_ = std::make_shared<mesh::ApiKeys>();
  *api_keys_ = std::move(*keys);
  return {};
}

// A journal that cannot be opened now is nobody's death: it is tried again, and until then nothing
// is accepted.
Result<admission::OpenedJournal> Composition::read_journal(
    const admission::JournalWriterOptions& options) {
  if (auto made = make_private_folder(journal_folder(config_)); !made) {
    log::error("the journal's folder cannot be made: requests are refused until it can",
               {{"reason", made.error().message}});
  }
  auto opened = admission::open_journal(options.file);
  if (opened) return opened;
  const Error& error = opened.error();
  if (error.code == ErrorCode::unsupported || error.code == ErrorCode::conflict) {
    return Error{ErrorCode::corrupt, error.message};  // to start again changes nothing
  }
  log::error("the journal cannot be opened: requests are refused until it can",
             {{"reason", error.message}});
  return admission::OpenedJournal{.state = error};
}

Result<void> Composition::add_admission(mesh::Hello hello, std::vector<std::string> binds) {
  if (auto read = read_api_keys(); !read) return read;
  const Model model = model_of(config_);
  std::shared_ptr<const engine::TextModel> text;
  if (model.fake()) {
    text = engine::make_fake_text_model(fake_options(config_));
  } else {
    auto opened = engine::TextModel::open(model.path);
    if (!opened) return opened.error();
    text = *opened;
  }
  const auto journal_at = journal_options(config_, hello.self);
  auto core = std::make_unique<admission::Admission>(
      std::move(hello), admission_options(config_, reach_),
      admission::Admission::Models{{model.id, std::move(text)}});
  auto tls = load_tls(config_);
  if (!tls) return tls.error();
  std::string curve_secret;
  if (config_.zmq.curve) {
    auto pair = load_clients_pair(config_);
    if (!pair) return pair.error();
    curve_secret = pair->secret_key;
  }
  FrontOptions fronts{http_options(config_), zmq_options(config_), api_keys_, std::move(*tls),
                      farewell(config_)};
  fronts.zmq.curve_secret = std::move(curve_secret);
  fronts.http.max_connections = allow_connections(fronts.http.max_connections);
  admission_ = std::make_unique<AdmissionService>(host_, std::move(core), binds, fronts);
  if (config_.journal.sync == "none") return {};
  // Who opens the journal takes it from whoever has it: only one that has its sockets may. Nobody
  // is heard on them before begin().
  auto journal = read_journal(journal_at);
  if (!journal) return journal.error();
  admission_->keep_journal(journal_at, std::move(*journal));
  return {};
}

Result<void> Composition::add_monitor(mesh::Hello hello, const std::vector<std::string>& binds) {
  auto http = monitor_http_options(config_);
  if (is_beyond_loopback(config_.monitor.bind)) {
    if (auto read = read_api_keys(); !read) return read;
    http.keys = api_keys_;
  }
  shells_.push_back(std::make_unique<monitor::MonitorShell>(
      host_, std::make_unique<monitor::Monitor>(std::move(hello), monitor_options(config_, reach_)),
      binds, http));
  return {};
}

Result<void> Composition::add(ServiceKind kind, const std::string& name, Incarnation incarnation) {
  if (auto used = use_mesh_keys(kind); !used) return used;
  const mesh::Hello self = hello(kind, name, incarnation);
  std::vector<std::string> binds = {bind_endpoint(config_, reach_, kind, name)};
  if (kind == ServiceKind::monitor && reach_ == Reach::process) {
    binds.push_back(bind_endpoint(config_, Reach::host, kind, name));  // for `aorta ps` and others
  }
  try {
    switch (kind) {
      case ServiceKind::admission:
        return add_admission(self, binds);
      case ServiceKind::scheduler:
        shells_.push_back(std::make_unique<actors::Shell>(
            host_, std::make_unique<scheduler::Scheduler>(self, scheduler_options(config_, reach_)),
            binds));
        return {};
      case ServiceKind::executor: {
        auto engine = engine_options(config_);
        if (!engine) return engine.error();
        auto options = executor_options(config_, reach_);
        options.opens_at_once = !engine->model.pack_path.empty();
        shells_.push_back(std::make_unique<executor::ExecutorShell>(
            host_, std::make_unique<executor::Executor>(self, options), *std::move(engine)));
        return {};
      }
      case ServiceKind::cache: {
        const std::string folder = pack_folder(config_);
        if (auto made = make_private_folder(folder); !made) return made.error();
        shells_.push_back(std::make_unique<cache::CacheShell>(
            host_,
            std::make_unique<cache::Cache>(self, cache_options(config_, reach_),
                                           cache::find_packs(folder)),
            binds, cache::CacheFiles{folder, kv_store_path(config_), config_.cache.kv_bytes}));
        return {};
      }
      case ServiceKind::monitor:
        return add_monitor(self, binds);
      case ServiceKind::node:
      case ServiceKind::tool:
        break;
    }
  } catch (const std::runtime_error& error) {  // an endpoint that cannot be bound
    return Error{ErrorCode::conflict, error.what()};
  }
  return Error{ErrorCode::invalid_argument,
               fmt::format("{} is no service of its own", name_of(kind))};
}

Result<void> Composition::add_node(const std::string& name, Incarnation incarnation,
                                   node::Spawner& spawner, Children children) {
  if (auto used = use_mesh_keys(ServiceKind::node); !used) return used;
  auto options = node_options(config_, reach_);
  for (const ServiceKind kind : children.fixed) options.fixed.push_back({name_of(kind), kind});
  node::NodeShellOptions shell;
  shell.arguments = [arguments = std::move(children.arguments), first_scheduler = true](
                        const node::ChildSpec& child, Incarnation life) mutable {
    std::vector<std::string> all = {"serve",    name_of(child.kind), "--name",
                                    child.name, "--incarnation",     std::to_string(life.value)};
    all.insert(all.end(), arguments.begin(), arguments.end());
    if (child.kind == ServiceKind::scheduler && std::exchange(first_scheduler, false)) {
      // Everything starts with it: there is no earlier life's work to learn of.
      all.insert(all.end(), {"--set", "scheduler.settle_ms=0"});
    }
    return all;
  };
  shell.draw_incarnation = draw_incarnation;
  if (config_.node.child_logs == "files") shell.log_folder = log_folder(config_);
  shell.on_whole = std::move(children.on_whole);
  auto agent = std::make_unique<node::NodeShell>(
      host_,
      std::make_unique<node::Node>(hello(ServiceKind::node, name, incarnation), std::move(options)),
      spawner, std::move(shell));
  node_ = agent.get();
  shells_.push_back(std::move(agent));
  return {};
}

void Composition::reload(const Config& config) {
  log::set_level(*log::parse_level(config.log.level));
  log::info("log level read again", {{"level", config.log.level}});
  const auto tell = [](const char* what, const Result<void>& read) {
    if (read) return log::info("read again", {{"what", what}});
    log::error("not read again: what was read before stays",
               {{"what", what}, {"reason", read.error().message}});
  };
  if (api_keys_) tell("API keys", read_api_keys());
  if (admission_ && !config_.http.tls_certificate.empty()) tell("TLS certificate", read_tls());
}

// From the files that were named at the start: their contents may be new.
Result<void> Composition::read_tls() {
  auto tls = load_tls(config_);
  if (!tls) return tls.error();
  admission_->use_tls(std::move(*tls));
  return {};
}

int Composition::run(std::function<Result<Config>()> read_config) {
  host_.handle_signals([this, read_config = std::move(read_config)] {
    if (node_ != nullptr) node_->signal_children(SIGHUP);
    const auto config = read_config();
    if (config) return reload(*config);
    log::warning("configuration not read again", {{"reason", config.error().message}});
  });
  if (admission_) admission_->begin();
  for (const auto& shell : shells_) shell->begin();
  return host_.run();
}

}  // namespace aorta::services
