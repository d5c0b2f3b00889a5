#include "actors/monitor/monitor_shell.hpp"

#include "actors/fronts/prometheus_text.hpp"

namespace aorta::monitor {

MonitorShell::MonitorShell(actors::Host& host, std::unique_ptr<Monitor> core,
                           const std::vector<std::string>& binds, const MonitorHttpOptions& http)
    : Shell(host, std::move(core), binds),
      http_(host.io(), http, [&monitor = static_cast<Monitor&>(Shell::core())] {
        return fronts::prometheus_text(monitor.figures());
      }) {}

}  // namespace aorta::monitor
