#pragma once
// Who asks: from a client's API key to its tenant.
#include <optional>
#include <string>
#include <string_view>

#include "actors/fronts/api_error.hpp"
#include "mesh/api_keys.hpp"

namespace aorta::fronts {

// Sets `tenant`, or answers what to tell the client. `how`: how a key is sent here.
std::optional<ApiError> check_key(const mesh::ApiKeys& keys, std::string_view key,
                                  std::string_view how, std::string& tenant);

// The key in an Authorization header; empty when it has none.
std::string_view bearer_key(std::string_view authorization);

}  // namespace aorta::fronts
