#pragma once
// What there is to ask for over HTTP: one row for each path.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace aorta::fronts {

enum class Page : std::uint8_t {
  chat,
  completions,
  inference,
  tokenize,
  detokenize,
  models,
  model,           // rest: its name
  request,         // rest: its id
  request_stream,  // rest: its id
  health,
  ready,
  metrics,
  version,
};

struct Path {
  Page page{};
  bool posts = false;  // else it is read: GET and HEAD
  std::string text;    // as asked, escapes resolved, without the query
  std::string rest;    // what the page's own path leaves open
  std::string_view methods() const { return posts ? "POST, OPTIONS" : "GET, HEAD, OPTIONS"; }
};

// The path of a request's target, without escapes and query.
std::string path_of(std::string_view target);
std::optional<Path> find_path(const std::string& path);
// Probes, and the preflights of browsers, come without credentials.
bool is_open_to_all(std::string_view method, std::string_view target);

}  // namespace aorta::fronts
