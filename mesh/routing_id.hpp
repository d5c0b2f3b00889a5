#pragma once
// A peer's name on the wire: "name#incarnation", never used again.
#include <optional>
#include <string>
#include <string_view>

#include "mesh/messages.hpp"

namespace aorta::mesh {

const char* name_of(ServiceKind kind);

// 1 to 64 letters, digits, - _ or .
bool is_service_name(std::string_view name);
std::string to_routing_id(const PeerId& peer);
std::optional<PeerId> from_routing_id(std::string_view id);  // incarnation 0 is no life

}  // namespace aorta::mesh
