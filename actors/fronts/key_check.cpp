#include "actors/fronts/key_check.hpp"

#include <fmt/format.h>
#include <strings.h>

namespace aorta::fronts {

std::optional<ApiError> check_key(const mesh::ApiKeys& keys, std::string_view key,
                                  std::string_view how, std::string& tenant) {
  tenant = mesh::default_tenant;
  if (!keys.required()) return std::nullopt;
  if (key.empty()) {
    return ApiError{401, "missing_api_key", fmt::format("An API key is needed: {}.", how), "", 0};
  }
  tenant = keys.tenant_of(key);
  if (!tenant.empty()) return std::nullopt;
  return ApiError{401, "invalid_api_key",
                  "This API key is not known here: it is mistyped, or was revoked.", "", 0};
}

std::string_view bearer_key(std::string_view authorization) {
  constexpr std::string_view scheme = "bearer ";
  if (authorization.size() < scheme.size() ||
      ::strncasecmp(authorization.data(), scheme.data(), scheme.size()) != 0) {
    return {};
  }
  authorization.remove_prefix(scheme.size());
  const std::size_t begin = authorization.find_first_not_of(' ');
  return begin == authorization.npos ? std::string_view() : authorization.substr(begin);
}

}  // namespace aorta::fronts
