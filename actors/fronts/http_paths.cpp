#include "actors/fronts/http_paths.hpp"

#include <charconv>

namespace aorta::fronts {
namespace {

// A path that ends with '/' has something after it; `after` is what follows that.
struct Row {
  std::string_view path;
  Page page;
  bool posts = false;
  std::string_view after = "";
};
constexpr Row rows[] = {
    {"/v1/chat/completions", Page::chat, true},
    {"/v1/completions", Page::completions, true},
    {"/v1/inference", Page::inference, true},
    {"/tokenize", Page::tokenize, true},
    {"/detokenize", Page::detokenize, true},
    {"/v1/models", Page::models},
    {"/v1/models/", Page::model},
    {"/v1/aorta/requests/", Page::request_stream, false, "/stream"},
    {"/v1/aorta/requests/", Page::request},
    {"/health", Page::health},
    {"/ready", Page::ready},
    {"/metrics", Page::metrics},
    {"/version", Page::version},
};

// Percent escapes resolved; a broken one stays as it is.
std::string decoded(std::string_view path) {
  std::string text;
  for (std::size_t i = 0; i < path.size(); ++i) {
    unsigned char byte = 0;
    const char* hex = path.data() + i + 1;
    if (path[i] == '%' && i + 2 < path.size() &&
        std::from_chars(hex, hex + 2, byte, 16).ptr == hex + 2) {
      text += static_cast<char>(byte);
      i += 2;
    } else {
      text += path[i];
    }
  }
  return text;
}

std::optional<std::string_view> rest_of(std::string_view path, const Row& row) {
  if (!row.path.ends_with('/')) {
    return path == row.path ? std::optional<std::string_view>("") : std::nullopt;
  }
  if (!path.starts_with(row.path) || !path.ends_with(row.after)) return std::nullopt;
  if (path.size() <= row.path.size() + row.after.size()) return std::nullopt;
  path.remove_prefix(row.path.size());
  path.remove_suffix(row.after.size());
  return path;
}

}  // namespace

std::string path_of(std::string_view target) {
  if (target.starts_with("http://")) {  // absolute form, which a server must understand
    const auto path = target.find('/', 7);
    target = path == target.npos ? "/" : target.substr(path);
  }
  return decoded(target.substr(0, target.find('?')));
}

std::optional<Path> find_path(const std::string& path) {
  for (const Row& row : rows) {
    if (const auto rest = rest_of(path, row)) {
      return Path{row.page, row.posts, path, std::string(*rest)};
    }
  }
  return std::nullopt;
}

bool is_open_to_all(std::string_view method, std::string_view target) {
  const auto path = find_path(path_of(target));
  const bool probe = path && (path->page == Page::health || path->page == Page::ready);
  return probe || method == "OPTIONS";
}

}  // namespace aorta::fronts
