#pragma once
// What `aorta audit` says to a person.
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace aorta::services {

// Of the monitor's audit: does it balance, the mesh's figures, what does not fit, and the last
// requests that each admission knows. Every line ends in '\n'.
std::string audit_text(const nlohmann::json& audit);

}  // namespace aorta::services
