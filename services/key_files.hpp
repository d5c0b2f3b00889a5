#pragma once
// Where keys lie, and how they are read and written: always whole, and for this user alone.
//
//   KEYS/mesh.public    every role's public key; each service needs it
//   KEYS/ROLE.secret    only for services of that role
//   KEYS/clients.public what ZeroMQ clients need for CURVE; KEYS/clients.secret: their front's
//   KEYS/api_keys       hashes of the clients' keys, with their tenants
//   STATE/local.key     a client's key for who can read the state folder
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "actors/fronts/tls.hpp"
#include "base/config.hpp"
#include "base/result.hpp"
#include "mesh/api_keys.hpp"
#include "mesh/mesh_keys.hpp"

namespace aorta::services {

std::string keys_folder(const Config& config);
std::string api_keys_path(const Config& config);

// ── Of the mesh ──────────────────────────────────────────────────────────────────────────────
// Draws all pairs and writes them; errors: conflict when there are some and `replace` is not said.
Result<void> init_mesh_keys(const std::string& folder, bool replace);
bool has_mesh_keys(const Config& config);
// nullopt: this mesh has none. Errors: not_found, corrupt, each with what to do.
Result<std::optional<mesh::MeshKeys>> load_mesh_keys(const Config& config, mesh::ServiceKind role);
// Of the ZeroMQ front.
Result<mesh::CurvePair> load_clients_pair(const Config& config);
Result<std::string> load_clients_public(const Config& config);

// ── Of clients ───────────────────────────────────────────────────────────────────────────────
// An absent file has no keys.
Result<std::vector<mesh::ApiKey>> read_api_keys(const std::string& path);
// Reads, lets `change` edit and writes, while nobody else does. Its error stays without effect.
Result<void> change_api_keys(const std::string& path,
                             const std::function<Result<void>(std::vector<mesh::ApiKey>&)>& change);
// What the fronts are to ask for. Where keys are asked for, the local one is among them, and made
// if it is not there.
Result<mesh::ApiKeys> load_api_keys(const Config& config);
// Of the HTTP front; null: it is plain. Errors: which file, and why.
Result<std::shared_ptr<const fronts::TlsContext>> load_tls(const Config& config);
// The key for a client of this user; empty: there is none.
std::string local_key(const Config& config);

}  // namespace aorta::services
