#pragma once
// The configuration, as each core wants it.
#include "actors/admission/journal_writer.hpp"
#include "actors/admission/options.hpp"
#include "actors/cache/cache.hpp"
#include "actors/executor/executor_shell.hpp"
#include "actors/fronts/http_options.hpp"
#include "actors/fronts/zmq_front.hpp"
#include "actors/monitor/monitor.hpp"
#include "actors/monitor/monitor_http.hpp"
#include "actors/node/node.hpp"
#include "actors/scheduler/options.hpp"
#include "services/setup.hpp"

namespace aorta::services {

// The last of drain.drain_s, twice: for the fronts to write what they have, and for the processes
// to leave.
std::chrono::milliseconds farewell(const Config& config);
admission::AdmissionOptions admission_options(const Config& config, Reach reach);
// Of this life of an admission; its file is named after it.
admission::JournalWriterOptions journal_options(const Config& config, const mesh::PeerId& self);
fronts::HttpOptions http_options(const Config& config);
fronts::ZmqOptions zmq_options(const Config& config);
scheduler::SchedulerOptions scheduler_options(const Config& config, Reach reach);
executor::ExecutorOptions executor_options(const Config& config, Reach reach);
// With the model's pack if there is one. Errors: those of TextModel::open, when a fake engine is to
// speak in a file's vocabulary.
Result<executor::EngineOptions> engine_options(const Config& config);
engine::FakeOptions fake_options(const Config& config);  // of the model that has no file
cache::CacheOptions cache_options(const Config& config, Reach reach);
monitor::MonitorOptions monitor_options(const Config& config, Reach reach);
monitor::MonitorHttpOptions monitor_http_options(const Config& config);
node::NodeOptions node_options(const Config& config, Reach reach);
actors::HostOptions host_options(const Config& config);

}  // namespace aorta::services
