#pragma once
// API keys of the fronts: who has a key asks as its tenant. At rest only hashes are kept, in a
// text file:
//
//   file := "aorta api keys 1" LF line*
//   line := id SP sha256 SP tenant SP created SP name LF     name: to the end of the line, or empty
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace aorta::mesh {

struct ApiKey {
  std::string id;      // 8 hex digits: how people name it
  std::string digest;  // SHA-256 of the key, 64 hex digits
  std::string tenant;
  std::int64_t created = 0;  // seconds since 1970
  std::string name;          // for people
};

inline constexpr const char* default_tenant = "default";

std::string draw_api_key();  // sk-aorta-… with 256 random bits
std::string digest_of_key(std::string_view key);
// An entry for that key as of now; errors: a tenant or name that the file cannot hold.
Result<ApiKey> make_entry(std::string_view key, std::string tenant, std::string name);

std::string format_api_keys(const std::vector<ApiKey>& keys);
// Errors: corrupt with `path` and line; unsupported for a later version of the file.
Result<std::vector<ApiKey>> parse_api_keys(const std::string& text, const std::string& path);

// Answers fronts who asks. The loop's thread only; what a file says now may be put in at any time.
class ApiKeys {
 public:
  ApiKeys() = default;  // asks for none: everybody is the default tenant
  explicit ApiKeys(const std::vector<ApiKey>& keys);  // asks for one of these

  bool required() const { return required_; }
  // The tenant of the key; empty: nobody's. Keys are found by their hash, so that the time it takes
  // says nothing about them.
  std::string tenant_of(std::string_view key) const;

 private:
  bool required_ = false;
  std::map<std::string, std::string> tenants_;  // by digest
};

}  // namespace aorta::mesh
