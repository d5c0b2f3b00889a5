#pragma once
// What listens beyond loopback asks for keys, or --insecure was said.
#include <span>

#include "base/config.hpp"
#include "base/result.hpp"
#include "mesh/messages.hpp"

namespace aorta::services {

// Of a process that runs these services. The error says which setting, and what to run.
Result<void> check_exposure(const Config& config, std::span<const mesh::ServiceKind> services);
Result<void> check_exposure(const Config& config);  // of a whole mesh

bool is_beyond_loopback(const std::string& address);

}  // namespace aorta::services
