#include "mesh/routing_id.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace aorta::mesh {

const char* name_of(ServiceKind kind) {
  constexpr const char* names[] = {"admission", "scheduler", "executor", "cache",
                                   "monitor",   "node",      "tool"};
  const auto i = static_cast<std::size_t>(kind);
  return i < std::size(names) ? names[i] : "unknown";
}

bool is_service_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

std::string to_routing_id(const PeerId& peer) {
  return fmt::format("{}#{}", peer.name, peer.incarnation.value);
}

std::optional<PeerId> from_routing_id(std::string_view id) {
  const std::size_t hash = id.rfind('#');
  if (hash == id.npos || !is_service_name(id.substr(0, hash))) return std::nullopt;
  PeerId peer{std::string(id.substr(0, hash)), {}};
  const auto [end, error] =
      std::from_chars(id.data() + hash + 1, id.data() + id.size(), peer.incarnation.value);
  if (error != std::errc{} || end != id.data() + id.size() || peer.incarnation.value == 0) {
    return std::nullopt;
  }
  return peer;
}

}  // namespace aorta::mesh
