#include "actors/monitor/monitor_shell.hpp"

#include "actors/figures.hpp"
#include "actors/fronts/prometheus_text.hpp"

namespace aorta::monitor {

MonitorShell::MonitorShell(actors::Host& host, std::unique_ptr<Monitor> core,
                           const std::vector<std::string>& binds, const MonitorHttpOptions& http)
    : Shell(host, std::move(core), binds),
      http_(host.io(), http, [&host, &monitor = static_cast<Monitor&>(Shell::core())] {
        std::vector<mesh::Figure> all = monitor.figures();
        // It reports to nobody but itself.
        const std::string service = actors::label("service", monitor.self().self.name);
        for (mesh::Figure figure : host.refusals()) {
          figure.labels = actors::labels_of(figure.labels, service);
          all.push_back(std::move(figure));
        }
        return fronts::prometheus_text(all);
      }) {}

}  // namespace aorta::monitor
