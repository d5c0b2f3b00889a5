#pragma once
// The monitor's HTTP: GET /metrics (Prometheus' text format) and GET /health. Runs on the loop.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "mesh/api_keys.hpp"

namespace boost::asio {
class io_context;
}

namespace aorta::monitor {

struct MonitorHttpOptions {
  std::string bind = "127.0.0.1";  // an IP address
  std::uint16_t port = 8082;       // 0: any free one
  std::uint32_t max_connections = 64;
  std::uint32_t max_header_bytes = 16u << 10;
  std::shared_ptr<const mesh::ApiKeys> keys;  // who may read /metrics; null: everybody
  std::uint32_t timeout_ms = 10'000;  // for a request to arrive, and for its answer to be taken
};

class MonitorHttp {
 public:
  // `metrics` is asked at each GET /metrics. Throws std::runtime_error with a sentence when the
  // address is wrong or taken.
  MonitorHttp(boost::asio::io_context& io, const MonitorHttpOptions& options,
              std::function<std::string()> metrics);
  ~MonitorHttp();
  std::uint16_t port() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace aorta::monitor
