#pragma once
// Kinds of services by the names that the command line, `ps` and the logs use.
#include <optional>
#include <string>
#include <string_view>

#include "mesh/messages.hpp"

namespace aorta::services {

std::string name_of(mesh::ServiceKind kind);
std::optional<mesh::ServiceKind> kind_of(std::string_view name);

}  // namespace aorta::services
