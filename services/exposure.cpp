#include "services/exposure.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "services/key_files.hpp"

namespace aorta::services {
namespace {

using mesh::ServiceKind;

Error exposed(const char* key, const std::string& address, std::string_view what,
              std::string_view how) {
  return {ErrorCode::invalid_argument,
          fmt::format("{} is {}: anybody who reaches this address could {}; {}, bind to 127.0.0.1, "
                      "or say --insecure on a network where everybody is trusted",
                      key, address, what, how)};
}

Result<void> check_clients(const Config& config, const char* key, const std::string& address) {
  if (!is_beyond_loopback(address)) return {};
  constexpr const char* what = "use the mesh";
  if (config.security.api_keys == "off") {
    return exposed(key, address, what, "set security.api_keys to auto");
  }
  const auto keys = read_api_keys(api_keys_path(config));
  if (!keys) return keys.error();
  if (!keys->empty()) return {};
  return exposed(key, address, what,
                 "make a key for each client with `aorta keys add --tenant NAME`");
}

}  // namespace

bool is_beyond_loopback(const std::string& address) {
  return address != "ipc" && !address.starts_with("127.") && address != "::1" &&
         address != "localhost";
}

Result<void> check_exposure(const Config& config, std::span<const ServiceKind> services) {
  if (config.mesh.insecure) return {};
  const auto runs = [&](ServiceKind kind) {
    return std::find(services.begin(), services.end(), kind) != services.end();
  };
  if (is_beyond_loopback(config.mesh.bind) && !has_mesh_keys(config)) {
    return exposed("mesh.bind", config.mesh.bind, "join the mesh",
                   "make its keys with `aorta keys init`");
  }
  Result<void> checked;
  if (runs(ServiceKind::admission)) checked = check_clients(config, "http.bind", config.http.bind);
  if (checked && runs(ServiceKind::admission)) {
    checked = check_clients(config, "zmq.bind", config.zmq.bind);
  }
  if (checked && runs(ServiceKind::monitor)) {
    checked = check_clients(config, "monitor.bind", config.monitor.bind);
  }
  return checked;
}

Result<void> check_exposure(const Config& config) {
  return check_exposure(config, mesh::all_roles);
}

}  // namespace aorta::services
