#include "services/service_names.hpp"

#include <array>
#include <utility>

namespace aorta::services {
namespace {

using mesh::ServiceKind;
constexpr std::array<std::pair<ServiceKind, const char*>, 7> names = {{
    {ServiceKind::admission, "admission"},
    {ServiceKind::scheduler, "scheduler"},
    {ServiceKind::executor, "executor"},
    {ServiceKind::cache, "cache"},
    {ServiceKind::monitor, "monitor"},
    {ServiceKind::node, "node"},
    {ServiceKind::tool, "tool"},
}};

}  // namespace

std::string name_of(ServiceKind kind) { return names[static_cast<std::size_t>(kind)].second; }

std::optional<ServiceKind> kind_of(std::string_view name) {
  for (const auto& [kind, text] : names) {
    if (text == name) return kind;
  }
  return std::nullopt;
}

}  // namespace aorta::services
