#include "actors/fronts/http_routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "actors/fronts/draw.hpp"
#include "actors/fronts/json_text.hpp"
#include "actors/fronts/prometheus_text.hpp"
#include "actors/fronts/request_parser.hpp"

namespace aorta::fronts {
namespace {

constexpr const char* tenant = "default";
constexpr std::string_view requests_path = "/v1/aorta/requests/";
constexpr std::string_view models_path = "/v1/models/";

enum class Verb { post, get };

HttpResponse not_found(std::string_view path) {
  return error_response({404, "not_found",
                         fmt::format("There is nothing at {:.200}. Try /v1/chat/completions, "
                                     "/v1/models, /health, /ready or /metrics.",
                                     path),
                         "", 0});
}

HttpResponse no_request(std::string_view id) {
  return error_response({404, "request_not_found",
                         fmt::format("No request {:.64} is known here; ids are 32 hex digits, and "
                                     "finished requests are kept for a limited time.",
                                     id),
                         "", 0});
}

// Is there such a path, and which method does it take?
std::optional<Verb> verb_of(std::string_view path) {
  if (path == "/v1/chat/completions" || path == "/v1/completions") return Verb::post;
  for (std::string_view known : {"/health", "/ready", "/metrics", "/v1/models"}) {
    if (path == known) return Verb::get;
  }
  const bool below = (path.starts_with(models_path) && path.size() > models_path.size()) ||
                     (path.starts_with(requests_path) && path.size() > requests_path.size());
  return below ? std::optional(Verb::get) : std::nullopt;
}

std::string_view path_of(std::string_view target) {
  if (target.starts_with("http://")) {  // absolute form, which a server must understand
    const auto path = target.find('/', 7);
    target = path == target.npos ? "/" : target.substr(path);
  }
  return target.substr(0, target.find('?'));
}

// Names come from the client and go into a header: only what cannot break one.
std::string ignored_header(const std::vector<std::string>& names) {
  constexpr std::size_t most_names = 32, most_bytes = 64;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), most_names); ++i) {
    if (i > 0) text += ", ";
    for (unsigned char c : names[i].substr(0, most_bytes)) {
      text += c > ' ' && c < 0x7f && c != ',' ? static_cast<char>(c) : '?';
    }
  }
  return names.size() > most_names ? text + ", ..." : text;
}

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

// May be echoed into a header.
bool is_plain(std::string_view text) {
  return text.size() <= 128 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
}

RequestId id_of(const admission::GenerateRequest& call) { return call.id; }
RequestId id_of(const ResumeCall& call) { return call.request; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

HttpRoutes::HttpRoutes(const admission::ClientPort& port, Figures figures, std::int64_t started)
    : port_(port), figures_(std::move(figures)), started_(started) {}

HttpRoutes::Routed HttpRoutes::route(const HttpRequest& request) const {
  Routed routed = find(request);
  std::string id = is_plain(request.request_id) ? request.request_id : "";
  if (auto* opening = std::get_if<Opening>(&routed)) {
    if (id.empty()) {
      id = std::visit([](const auto& call) { return id_of(call).to_string(); }, opening->call);
    }
    opening->plan.headers.emplace_back("X-Request-Id", id);
  } else {
    if (id.empty()) id = draw_request_id().to_string();
    std::get<HttpResponse>(routed).headers.emplace_back("X-Request-Id", id);
  }
  return routed;
}

HttpRoutes::Routed HttpRoutes::find(const HttpRequest& request) const {
  const std::string path = decoded(path_of(request.target));
  const auto verb = verb_of(path);
  if (!verb) return not_found(path);
  const char* allowed = *verb == Verb::post ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
  const std::string& method = request.method;
  if (method == "OPTIONS") return HttpResponse{204, {{"Allow", allowed}}, "", ""};
  const bool reads = method == "GET" || method == "HEAD";
  if (*verb == Verb::post ? method != "POST" : !reads) {
    HttpResponse response = error_response(
        {405, "method_not_allowed",
         fmt::format("{:.200} takes {}, not {:.20}.", path, allowed, method), "", 0});
    response.headers.emplace_back("Allow", allowed);
    return response;
  }
  if (path == "/v1/chat/completions") return generate(request, Shape::chat);
  if (path == "/v1/completions") return generate(request, Shape::text);
  constexpr std::string_view stream = "/stream";
  if (path.starts_with(requests_path) && path.ends_with(stream) && method == "GET") {
    std::string_view id = std::string_view(path).substr(requests_path.size());
    id.remove_suffix(std::min(id.size(), stream.size()));
    return resume(request, id);
  }
  return read(path);
}

HttpRoutes::Routed HttpRoutes::generate(const HttpRequest& request, Shape shape) const {
  auto body = parse_json(request.body);
  if (!body) {
    return error_response({400, "invalid_json", "The body is " + body.error().message, "", 0});
  }
  auto parsed = parse_request(*body, shape == Shape::chat ? Endpoint::chat : Endpoint::completion,
                              {request.tier, request.idempotency_key});
  if (const auto* error = std::get_if<ApiError>(&parsed)) return error_response(*error);
  auto& ours = std::get<ParsedRequest>(parsed);
  ours.generate.tenant = tenant;
  draw_identity(ours.generate);
  Opening opening;
  opening.plan.shape = shape;
  opening.plan.stream = ours.stream;
  opening.plan.include_usage = ours.include_usage;
  if (!ours.ignored.empty()) {
    opening.plan.headers.emplace_back("x-aorta-ignored", ignored_header(ours.ignored));
  }
  opening.call = std::move(ours.generate);
  return opening;
}

HttpRoutes::Routed HttpRoutes::resume(const HttpRequest& request, std::string_view id) const {
  const auto parsed = parse_answer_id(id);
  if (!parsed) return no_request(id);
  TokenIndex next;
  const std::string_view last = trim(request.last_event_id);
  const auto [end, error] = std::from_chars(last.data(), last.data() + last.size(), next.value);
  if (!last.empty() && (error != std::errc{} || end != last.data() + last.size())) {
    return error_response({400, "invalid_value",
                           "Invalid 'Last-Event-ID': it must be the id of the last event that "
                           "came, a number.",
                           "Last-Event-ID", 0});
  }
  Opening opening;
  opening.plan.stream = true;
  opening.plan.include_usage = true;
  opening.plan.next = next;
  opening.call = ResumeCall{tenant, *parsed, next};
  return opening;
}

HttpResponse HttpRoutes::read(std::string_view path) const {
  HttpResponse response;
  if (path == "/health") {
    response.body = R"({"status":"ok"})";
  } else if (path == "/ready") {
    const admission::Readiness readiness = port_.readiness();
    response.status = readiness.ready ? 200 : 503;
    response.body = readiness_json(readiness);
  } else if (path == "/metrics") {
    response.content_type = prometheus_content_type;
    response.body = prometheus_text(figures_());
  } else if (path == "/v1/models") {
    response.body = models_json(port_.readiness().models, started_);
  } else if (path.starts_with(models_path)) {
    return read_model(path.substr(models_path.size()));
  } else {
    return read_request(path.substr(requests_path.size()));
  }
  return response;
}

HttpResponse HttpRoutes::read_model(std::string_view name) const {
  const auto models = port_.readiness().models;
  if (std::find(models.begin(), models.end(), name) != models.end()) {
    HttpResponse response;
    response.body = model_json(std::string(name), started_);
    return response;
  }
  return error_response({404, "model_not_found",
                         fmt::format("The model '{:.200}' is not served here; /v1/models lists "
                                     "those that are.",
                                     name),
                         "model", 0});
}

HttpResponse HttpRoutes::read_request(std::string_view id) const {
  const auto parsed = parse_answer_id(id);
  if (!parsed) return no_request(id);
  HttpResponse response;
  response.body = port_.request_json(tenant, *parsed);
  return response.body.empty() ? no_request(id) : response;
}

}  // namespace aorta::fronts
