#include "mesh/mesh_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <sstream>

#include "mesh/routing_id.hpp"

namespace aorta::mesh {
namespace {

constexpr std::string_view public_magic = "aorta mesh keys ";
constexpr std::string_view secret_magic = "aorta secret key ";

Error corrupt(const std::string& path, std::string_view why) {
  return {ErrorCode::corrupt, fmt::format("{}: {}; `aorta keys init` makes such files", path, why)};
}

// Checks the first line; leaves `lines` behind it.
Result<void> check_magic(std::istringstream& lines, std::string_view magic,
                         const std::string& path) {
  std::string first;
  std::getline(lines, first);
  if (first == fmt::format("{}1", magic)) return {};
  if (first.starts_with(magic)) {
    return Error{ErrorCode::unsupported,
                 fmt::format("{} was written by a later version of aorta ('{:.40}')", path, first)};
  }
  return corrupt(path, fmt::format("its first line is not '{}1'", magic));
}

}  // namespace

std::optional<ServiceKind> MeshKeys::role_of(std::string_view public_key) const {
  for (const auto& [role, key] : publics) {
    if (key == public_key) return role;
  }
  return std::nullopt;
}

std::optional<ServiceKind> role_named(std::string_view name) {
  const auto role = std::find_if(std::begin(all_roles), std::end(all_roles),
                                 [&](ServiceKind kind) { return name == name_of(kind); });
  return role == std::end(all_roles) ? std::nullopt : std::optional(*role);
}

bool may_dial(ServiceKind role, ServiceKind binder) {
  switch (binder) {
    case ServiceKind::monitor:
      return true;
    case ServiceKind::scheduler:
      return role != ServiceKind::tool;
    case ServiceKind::admission:
    case ServiceKind::cache:
      return role == ServiceKind::executor;
    default:
      return false;
  }
}

Result<std::string> MeshKeys::let_in(std::string_view public_key) const {
  const auto found = role_of(public_key);
  if (!found) return Error{ErrorCode::not_found, "its key is none of this mesh's"};
  if (may_dial(*found, role)) return std::string(name_of(*found));
  return Error{ErrorCode::invalid_argument,
               fmt::format("it has the key of {}, which has no business at {}", name_of(*found),
                           name_of(role))};
}

CurveClient MeshKeys::to(std::string_view name) const {
  ServiceKind binder = ServiceKind::admission;
  for (const ServiceKind one : {ServiceKind::scheduler, ServiceKind::monitor, ServiceKind::cache}) {
    if (name == name_of(one)) binder = one;
  }
  return {own, publics.at(binder)};
}

std::string format_public_keys(const PublicKeys& keys) {
  std::string text = fmt::format("{}1\n", public_magic);
  for (const auto& [role, key] : keys) text += fmt::format("{} {}\n", name_of(role), key);
  return text;
}

std::string format_secret_key(std::string_view role, const std::string& secret_key) {
  return fmt::format("{}1\n{} {}\n", secret_magic, role, secret_key);
}

Result<PublicKeys> parse_public_keys(const std::string& text, const std::string& path) {
  std::istringstream lines(text);
  if (auto checked = check_magic(lines, public_magic, path); !checked) return checked.error();
  PublicKeys keys;
  std::string name, key;
  while (lines >> name >> key) {
    const auto role = role_named(name);
    if (!role) continue;  // of a later version, which has more roles
    if (!is_curve_key(key)) return corrupt(path, fmt::format("the key of {} is none", name));
    keys[*role] = key;
  }
  for (const ServiceKind role : all_roles) {
    if (!keys.contains(role)) {
      return corrupt(path, fmt::format("the key of {} is missing", name_of(role)));
    }
  }
  return keys;
}

Result<CurvePair> parse_secret_key(const std::string& text, std::string_view role,
                                   const std::string& path) {
  std::istringstream lines(text);
  if (auto checked = check_magic(lines, secret_magic, path); !checked) return checked.error();
  std::string name, key;
  lines >> name >> key;
  if (name != role) return corrupt(path, fmt::format("it is no secret of {}", role));
  auto pair = pair_of_secret(key);
  if (!pair) return corrupt(path, "its key is none");
  return pair;
}

Result<MeshKeys> make_mesh_keys(ServiceKind role, CurvePair own, PublicKeys publics) {
  if (publics.at(role) != own.public_key) {
    return Error{ErrorCode::corrupt,
                 fmt::format("the secret of {} does not belong to mesh.public: both must come from "
                             "the same `aorta keys init`",
                             name_of(role))};
  }
  return MeshKeys{role, std::move(own), std::move(publics)};
}

}  // namespace aorta::mesh
