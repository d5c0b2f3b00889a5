#include "actors/fronts/cors.hpp"

#include <algorithm>

namespace aorta::fronts {
namespace {

constexpr std::string_view readable_headers =
    "X-Request-Id, x-aorta-ignored, Retry-After, retry-after-ms";
constexpr std::size_t most_header_bytes = 1024;

// A list of header names, which is echoed into a header of ours.
bool is_header_list(std::string_view text) {
  return text.size() <= most_header_bytes &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '-' || c == '_' || c == ',' || c == ' ';
         });
}

}  // namespace

Cors::Cors(std::string_view origins) {
  while (!origins.empty()) {
    const auto comma = std::min(origins.find(','), origins.size());
    std::string_view one = origins.substr(0, comma);
    origins.remove_prefix(std::min(comma + 1, origins.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ') || one.ends_with('/')) one.remove_suffix(1);
    if (!one.empty()) origins_.emplace_back(one);
  }
}

bool Cors::allows(std::string_view origin) const {
  return std::any_of(origins_.begin(), origins_.end(), [&](const std::string& allowed) {
    return allowed == "*" || allowed == origin;
  });
}

void Cors::allow(const HttpRequest& request, HttpHeaders& headers) const {
  if (origins_.empty()) return;
  headers.emplace_back("Vary", "Origin");
  if (request.origin.empty() || !allows(request.origin)) return;
  headers.emplace_back("Access-Control-Allow-Origin", request.origin);
  headers.emplace_back("Access-Control-Expose-Headers", readable_headers);
}

void Cors::allow_preflight(const HttpRequest& request, std::string_view methods,
                           HttpHeaders& headers) const {
  if (request.origin.empty() || !allows(request.origin)) return;
  headers.emplace_back("Access-Control-Allow-Methods", methods);
  if (!request.preflight_headers.empty() && is_header_list(request.preflight_headers)) {
    headers.emplace_back("Access-Control-Allow-Headers", request.preflight_headers);
  }
  headers.emplace_back("Access-Control-Max-Age", "600");
}

}  // namespace aorta::fronts
