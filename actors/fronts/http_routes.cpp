#include "actors/fronts/http_routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "actors/fronts/draw.hpp"
#include "actors/fronts/event_id.hpp"
#include "actors/fronts/json_text.hpp"
#include "actors/fronts/prometheus_text.hpp"
#include "actors/fronts/request_parser.hpp"

namespace aorta::fronts {
namespace {

HttpResponse json_response(std::string body) {
  HttpResponse response;
  response.body = std::move(body);
  return response;
}

HttpResponse not_found(std::string_view path) {
  return error_response({404, "not_found",
                         fmt::format("There is nothing at {:.200}. Try /v1/chat/completions, "
                                     "/v1/models, /health, /ready or /metrics.",
                                     path),
                         "", 0});
}

// OPTIONS *: of the server as a whole.
HttpResponse server_options() {
  return HttpResponse{.status = 204, .headers = {{"Allow", "GET, HEAD, POST, OPTIONS"}}};
}

HttpResponse wrong_method(const std::string& method, const Path& path) {
  HttpResponse response = error_response(
      {405, "method_not_allowed",
       fmt::format("{:.200} takes {}, not {:.20}.", path.text, path.methods(), method), "", 0});
  response.headers.emplace_back("Allow", path.methods());
  return response;
}

HttpResponse no_request(std::string_view id) {
  return error_response({404, "request_not_found",
                         fmt::format("No request {:.64} is known here; ids are 32 hex digits, and "
                                     "finished requests are kept for a limited time.",
                                     id),
                         "", 0});
}

HttpResponse not_json(const Error& error) {
  return error_response({400, "invalid_json", "The body is " + error.message, "", 0});
}

// Names come from the client and go into a header: only what cannot break one.
void tell_ignored(const std::vector<std::string>& names, HttpHeaders& headers) {
  if (names.empty()) return;
  constexpr std::size_t most_names = 32, most_bytes = 64;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), most_names); ++i) {
    if (i > 0) text += ", ";
    for (unsigned char c : names[i].substr(0, most_bytes)) {
      text += c > ' ' && c < 0x7f && c != ',' ? static_cast<char>(c) : '?';
    }
  }
  if (names.size() > most_names) text += ", ...";
  headers.emplace_back("x-aorta-ignored", std::move(text));
}

// May be echoed into a header.
bool is_plain(std::string_view text) {
  return text.size() <= 128 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
}

RequestId id_of(const admission::GenerateRequest& call) { return call.id; }
RequestId id_of(const admission::ResumeRequest& call) { return call.request; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

Endpoint endpoint_of(Shape shape) {
  if (shape == Shape::inference) return Endpoint::inference;
  return shape == Shape::chat ? Endpoint::chat : Endpoint::completion;
}

}  // namespace

HttpRoutes::HttpRoutes(const admission::ClientPort& port, const HttpOptions& options,
                       std::int64_t started)
    : port_(port), version_(options.version), cors_(options.cors_origins), started_(started) {}

HttpRoutes::Routed HttpRoutes::route(const HttpRequest& request) const {
  const std::string text = path_of(request.target);
  const auto path = find_path(text);
  const bool of_all = text == "*" && request.method == "OPTIONS";
  Routed routed = path ? find(request, *path) : of_all ? server_options() : not_found(text);
  std::string id = is_plain(request.request_id) ? request.request_id : "";
  auto* opening = std::get_if<Opening>(&routed);
  if (id.empty() && opening != nullptr) {
    id = std::visit([](const auto& call) { return id_of(call).to_string(); }, opening->call);
  } else if (id.empty()) {
    id = draw_request_id().to_string();
  }
  HttpHeaders& headers =
      opening != nullptr ? opening->plan.headers : std::get<HttpResponse>(routed).headers;
  headers.emplace_back("X-Request-Id", id);
  cors_.allow(request, headers);
  return routed;
}

HttpRoutes::Routed HttpRoutes::find(const HttpRequest& request, const Path& path) const {
  const std::string& method = request.method;
  if (method == "OPTIONS") {
    HttpResponse response{.status = 204, .headers = {{"Allow", std::string(path.methods())}}};
    cors_.allow_preflight(request, path.methods(), response.headers);
    return response;
  }
  const bool reads = method == "GET" || method == "HEAD";
  if (path.posts ? method != "POST" : !reads) return wrong_method(method, path);
  return answer(request, path);
}

HttpRoutes::Routed HttpRoutes::answer(const HttpRequest& request, const Path& path) const {
  switch (path.page) {
    case Page::chat:
      return generate(request, Shape::chat);
    case Page::completions:
      return generate(request, Shape::text);
    case Page::inference:
      return generate(request, Shape::inference);
    case Page::tokenize:
      return text_call(request, tokenize);
    case Page::detokenize:
      return text_call(request, detokenize);
    case Page::models:
      return models();
    case Page::model:
      return model(path.rest);
    case Page::request:
      return known_request(path.rest, request.tenant);
    case Page::request_stream:
      return resume(request, path.rest);
    case Page::health:
      return json_response(R"({"status":"ok"})");
    case Page::ready:
      return ready();
    case Page::metrics:
      return HttpResponse{.body = prometheus_text(port_.figures()),
                          .content_type = prometheus_content_type};
    case Page::version:
      return json_response(dump_json(nlohmann::json{{"version", version_}}));
  }
  return not_found(path.text);
}

HttpRoutes::Routed HttpRoutes::generate(const HttpRequest& request, Shape shape) const {
  auto body = parse_json(request.body);
  if (!body) return not_json(body.error());
  auto parsed = parse_request(*body, endpoint_of(shape), {request.tier, request.idempotency_key});
  if (const auto* error = std::get_if<ApiError>(&parsed)) return error_response(*error);
  auto& ours = std::get<ParsedRequest>(parsed);
  ours.generate.tenant = request.tenant;
  draw_identity(ours.generate);
  Opening opening;
  opening.plan.shape = shape;
  opening.plan.stream = ours.stream;
  opening.plan.include_usage = ours.include_usage;
  opening.plan.continuous_usage = ours.continuous_usage;
  tell_ignored(ours.ignored, opening.plan.headers);
  opening.call = std::move(ours.generate);
  return opening;
}

// A HEAD of it would be the head of a stream that nobody reads.
HttpRoutes::Routed HttpRoutes::resume(const HttpRequest& request, std::string_view id) const {
  const auto parsed = parse_answer_id(id);
  if (!parsed) return no_request(id);
  if (request.method == "HEAD") return known_request(id, request.tenant);
  const auto cursors = parse_event_id(trim(request.last_event_id));
  if (!cursors) {
    return error_response({400, "invalid_value",
                           "Invalid 'Last-Event-ID': it must be the id of the last event that "
                           "came, a part for each choice.",
                           "Last-Event-ID", 0});
  }
  Opening opening;
  opening.plan.stream = true;
  opening.plan.include_usage = true;
  opening.plan.cursors = *cursors;
  opening.call = admission::ResumeRequest{
      .tenant = request.tenant, .request = *parsed, .cursors = *cursors};
  return opening;
}

HttpResponse HttpRoutes::text_call(const HttpRequest& request, TextCall call) const {
  const auto body = parse_json(request.body);
  if (!body) return not_json(body.error());
  auto answer = call(*body, port_);
  if (const auto* error = std::get_if<ApiError>(&answer)) return error_response(*error);
  const auto& text = std::get<TextAnswer>(answer);
  HttpResponse response = json_response(dump_json(text.body));
  tell_ignored(text.ignored, response.headers);
  return response;
}

HttpResponse HttpRoutes::ready() const {
  const admission::Readiness readiness = port_.readiness();
  HttpResponse response = json_response(readiness_json(readiness));
  response.status = readiness.ready ? 200 : 503;
  return response;
}

ServedModel HttpRoutes::served(const std::string& name) const {
  const auto model = port_.text_model(name);
  return {name, model == nullptr ? 0 : model->context_tokens(), started_};
}

HttpResponse HttpRoutes::models() const {
  std::vector<ServedModel> all;
  for (const std::string& name : port_.readiness().models) all.push_back(served(name));
  return json_response(models_json(all));
}

HttpResponse HttpRoutes::model(std::string_view name) const {
  const auto models = port_.readiness().models;
  if (std::find(models.begin(), models.end(), name) != models.end()) {
    return json_response(model_json(served(std::string(name))));
  }
  return error_response({404, "model_not_found",
                         fmt::format("The model '{:.200}' is not served here; /v1/models lists "
                                     "those that are.",
                                     name),
                         "model", 0});
}

HttpResponse HttpRoutes::known_request(std::string_view id, const std::string& tenant) const {
  const auto parsed = parse_answer_id(id);
  if (!parsed) return no_request(id);
  std::string known = port_.request_json(tenant, *parsed);
  return known.empty() ? no_request(id) : json_response(std::move(known));
}

}  // namespace aorta::fronts
