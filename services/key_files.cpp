#include "services/key_files.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "mesh/routing_id.hpp"
#include "services/private_file.hpp"
#include "services/setup.hpp"

namespace aorta::services {
namespace {

namespace fs = std::filesystem;
using mesh::ServiceKind;

constexpr const char* clients_role = "clients";

std::string public_path(const std::string& folder) { return folder + "/mesh.public"; }
std::string secret_path(const std::string& folder, std::string_view role) {
  return fmt::format("{}/{}.secret", folder, role);
}
std::string clients_public_path(const std::string& folder) { return folder + "/clients.public"; }
std::string local_key_path(const Config& config) { return state_folder(config) + "/local.key"; }

bool exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

Error what_to_do(Error error, std::string_view advice) {
  if (error.code == ErrorCode::not_found) error.message += fmt::format("; {}", advice);
  return error;
}

std::string trimmed(std::string text) {
  text.erase(text.find_last_not_of(" \n\r\t") + 1);
  return text;
}

// One that is not there is made, for this user alone; one that is stays as it is.
Result<FolderLock> lock_folder(const std::string& folder) {
  if (!exists(folder)) {
    if (auto made = make_private_folder(folder); !made) return made.error();
  }
  return FolderLock::take(folder);
}

Result<mesh::CurvePair> load_secret(const std::string& folder, std::string_view role) {
  const std::string path = secret_path(folder, role);
  auto text = read_file(path);
  if (!text) {
    return what_to_do(text.error(), fmt::format("this service needs mesh.public and {}.secret of "
                                                "those that `aorta keys init` has made",
                                                role));
  }
  return mesh::parse_secret_key(*text, role, path);
}

}  // namespace

std::string keys_folder(const Config& config) {
  const std::string& folder = config.security.keys_folder;
  return folder.empty() ? state_folder(config) + "/keys" : fs::absolute(folder).string();
}

std::string api_keys_path(const Config& config) {
  const std::string& path = config.security.api_keys_file;
  return path.empty() ? keys_folder(config) + "/api_keys" : fs::absolute(path).string();
}

// ── Of the mesh ──────────────────────────────────────────────────────────────────────────────

Result<void> init_mesh_keys(const std::string& folder, bool replace) {
  auto lock = lock_folder(folder);
  if (!lock) return lock.error();
  if (!replace && exists(public_path(folder))) {
    return Error{ErrorCode::conflict,
                 fmt::format("{} has keys already; --force replaces them, and then every service "
                             "needs its new ones",
                             folder)};
  }
  mesh::PublicKeys publics;
  for (const ServiceKind role : mesh::all_roles) {
    const mesh::CurvePair pair = mesh::draw_curve_pair();
    publics[role] = pair.public_key;
    const std::string text = mesh::format_secret_key(mesh::name_of(role), pair.secret_key);
    auto written = write_private_file(secret_path(folder, mesh::name_of(role)), text);
    if (!written) return written;
  }
  const mesh::CurvePair clients = mesh::draw_curve_pair();
  const std::string text = mesh::format_secret_key(clients_role, clients.secret_key);
  auto written = write_private_file(secret_path(folder, clients_role), text);
  if (written) written = write_private_file(clients_public_path(folder), clients.public_key + "\n");
  // Last: where it is, the others are.
  if (written) written = write_private_file(public_path(folder), mesh::format_public_keys(publics));
  return written;
}

bool has_mesh_keys(const Config& config) { return exists(public_path(keys_folder(config))); }

Result<std::optional<mesh::MeshKeys>> load_mesh_keys(const Config& config, ServiceKind role) {
  const std::string folder = keys_folder(config), path = public_path(folder);
  if (config.security.keys_folder.empty() && !exists(path)) return std::optional<mesh::MeshKeys>();
  auto text = read_file(path);
  if (!text) {
    return what_to_do(text.error(),
                      fmt::format("`aorta keys init --dir {}` makes a mesh's keys", folder));
  }
  auto publics = mesh::parse_public_keys(*text, path);
  if (!publics) return publics.error();
  auto own = load_secret(folder, mesh::name_of(role));
  if (!own) return own.error();
  auto keys = mesh::make_mesh_keys(role, std::move(*own), std::move(*publics));
  if (!keys) return keys.error();
  return std::optional(std::move(*keys));
}

Result<mesh::CurvePair> load_clients_pair(const Config& config) {
  return load_secret(keys_folder(config), clients_role);
}

Result<std::string> load_clients_public(const Config& config) {
  const std::string path = clients_public_path(keys_folder(config));
  auto text = read_file(path);
  if (!text) return text.error();
  const std::string key = trimmed(*text);
  if (mesh::is_curve_key(key)) return key;
  return Error{ErrorCode::corrupt, fmt::format("{} is no CURVE key", path)};
}

// ── Of clients ───────────────────────────────────────────────────────────────────────────────

Result<std::vector<mesh::ApiKey>> read_api_keys(const std::string& path) {
  auto text = read_file(path);
  if (!text && text.error().code == ErrorCode::not_found) return std::vector<mesh::ApiKey>();
  if (!text) return text.error();
  return mesh::parse_api_keys(*text, path);
}

Result<void> change_api_keys(
    const std::string& path,
    const std::function<Result<void>(std::vector<mesh::ApiKey>&)>& change) {
  const std::string folder = fs::path(path).parent_path().string();
  auto lock = lock_folder(folder);
  if (!lock) return lock.error();
  auto keys = read_api_keys(path);
  if (!keys) return keys.error();
  if (auto changed = change(*keys); !changed) return changed;
  return write_private_file(path, mesh::format_api_keys(*keys));
}

Result<mesh::ApiKeys> load_api_keys(const Config& config) {
  const auto& security = config.security;
  const std::string path = api_keys_path(config);
  const bool there = exists(path);
  if (security.api_keys == "off") return mesh::ApiKeys();
  if (security.api_keys == "auto" && !there) {
    if (security.api_keys_file.empty()) return mesh::ApiKeys();
    return Error{ErrorCode::not_found,
                 fmt::format("security.api_keys_file is {}, which is not there: `aorta keys add` "
                             "makes it",
                             path)};
  }
  auto keys = read_api_keys(path);
  if (!keys) return keys.error();
  std::string local = local_key(config);
  if (local.empty()) {
    local = mesh::draw_api_key();
    if (auto written = write_private_file(local_key_path(config), local + "\n"); !written) {
      return written.error();
    }
  }
  keys->push_back({"", mesh::digest_of_key(local), mesh::default_tenant, 0, ""});
  return mesh::ApiKeys(*keys);
}

Result<std::shared_ptr<const fronts::TlsContext>> load_tls(const Config& config) {
  const std::string& certificate = config.http.tls_certificate;
  const std::string& key = config.http.tls_key;
  if (certificate.empty() && key.empty()) return std::shared_ptr<const fronts::TlsContext>();
  if (certificate.empty() || key.empty()) {
    return Error{ErrorCode::invalid_argument,
                 "http.tls_certificate and http.tls_key go together: name both PEM files, or none"};
  }
  auto tls = fronts::TlsContext::load(certificate, key);
  if (!tls) return tls.error();
  return std::shared_ptr<const fronts::TlsContext>(std::move(*tls));
}

std::string local_key(const Config& config) {
  auto text = read_file(local_key_path(config));
  return text ? trimmed(*text) : std::string();
}

}  // namespace aorta::services
