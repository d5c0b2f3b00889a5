#pragma once
// The monitor on the loop, with its HTTP.
#include <memory>
#include <string>
#include <vector>

#include "actors/monitor/monitor.hpp"
#include "actors/monitor/monitor_http.hpp"
#include "actors/shell.hpp"

namespace aorta::monitor {

class MonitorShell final : public actors::Shell {
 public:
  MonitorShell(actors::Host& host, std::unique_ptr<Monitor> core,
               const std::vector<std::string>& binds, const MonitorHttpOptions& http);

 private:
  MonitorHttp http_;
};

}  // namespace aorta::monitor
