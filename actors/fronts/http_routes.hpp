#pragma once
// Which answer belongs to which request line. Nothing here waits: a request is answered at once,
// or opens an exchange with admission.
#include <string>
#include <variant>
#include <vector>

#include "actors/admission/client.hpp"
#include "actors/fronts/cors.hpp"
#include "actors/fronts/http_exchange.hpp"
#include "actors/fronts/http_options.hpp"
#include "actors/fronts/http_paths.hpp"
#include "actors/fronts/text_api.hpp"

namespace aorta::fronts {

// What to ask of admission, and how its answer is to be written.
struct Opening {
  HttpExchange::Plan plan;
  std::variant<admission::GenerateRequest, admission::ResumeRequest> call;
};

class HttpRoutes {
 public:
  // `started`: seconds since 1970, what models say of when they were made.
  HttpRoutes(const admission::ClientPort& port, const HttpOptions& options, std::int64_t started);

  // Either names the request in X-Request-Id: as the client does, else by its own id.
  using Routed = std::variant<HttpResponse, Opening>;
  Routed route(const HttpRequest& request) const;

 private:
  Routed find(const HttpRequest& request, const Path& path) const;
  Routed generate(const HttpRequest& request, Shape shape) const;
  Routed resume(const HttpRequest& request, std::string_view id) const;
  Routed answer(const HttpRequest& request, const Path& path) const;
  using TextCall = std::variant<TextAnswer, ApiError> (*)(const nlohmann::json&,
                                                          const admission::ClientPort&);
  HttpResponse text_call(const HttpRequest& request, TextCall call) const;
  HttpResponse ready() const;
  HttpResponse models() const;
  HttpResponse model(std::string_view name) const;
  HttpResponse known_request(std::string_view id, const std::string& tenant) const;
  ServedModel served(const std::string& name) const;

  const admission::ClientPort& port_;
  const std::string version_;
  const Cors cors_;
  std::int64_t started_;
};

}  // namespace aorta::fronts
