#pragma once
// The keys by which the services of a mesh know each other: one CURVE pair for each role, so that
// an executor can prove to be one and can pass for nothing else. Everybody has all public halves:
//
//   public file := "aorta mesh keys 1" LF (role SP public LF)*
//   secret file := "aorta secret key 1" LF role SP secret LF
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "mesh/messages/names.hpp"
#include "mesh/zmq_curve.hpp"

namespace aorta::mesh {

inline constexpr ServiceKind all_roles[] = {
    ServiceKind::admission, ServiceKind::scheduler, ServiceKind::executor, ServiceKind::cache,
    ServiceKind::monitor,   ServiceKind::node,      ServiceKind::tool};

using PublicKeys = std::map<ServiceKind, std::string>;

// What one service needs to meet the others.
struct MeshKeys {
  ServiceKind role{};
  CurvePair own;
  PublicKeys publics;

  std::optional<ServiceKind> role_of(std::string_view public_key) const;
  // Whom a service of our role lets in: the role of that key, as text. Errors: not_found for a
  // stranger, invalid_argument for a role that has no business here.
  Result<std::string> let_in(std::string_view public_key) const;
  // How to dial a binder. Scheduler, monitor and cache go by their names, of which a mesh has one
  // each; the others that are dialled are admissions.
  CurveClient to(std::string_view name) const;
};

std::optional<ServiceKind> role_named(std::string_view name);
// Executors dial admissions and the cache, tools the monitor alone, all others the scheduler and
// the monitor: so no tool can meet an admission, let alone be sent a prompt.
bool may_dial(ServiceKind role, ServiceKind binder);

std::string format_public_keys(const PublicKeys& keys);
std::string format_secret_key(std::string_view role, const std::string& secret_key);
// Errors: corrupt with `path`; unsupported for a later version of the file. Every role is there.
Result<PublicKeys> parse_public_keys(const std::string& text, const std::string& path);
Result<CurvePair> parse_secret_key(const std::string& text, std::string_view role,
                                   const std::string& path);
// Errors: the pair is not the one that `publics` has for the role.
Result<MeshKeys> make_mesh_keys(ServiceKind role, CurvePair own, PublicKeys publics);

}  // namespace aorta::mesh
