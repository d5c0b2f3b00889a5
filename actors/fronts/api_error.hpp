#pragma once
// An error as a client sees it: OpenAI's error object, on HTTP and ZeroMQ alike.
#include <cstdint>
#include <string>
#include <string_view>

namespace aorta::fronts {

struct ApiError {
  int status = 400;                  // HTTP's; ZeroMQ clients get it as a number too
  std::string code;                  // for programs: invalid_type, model_not_found, queue_full, …
  std::string message;               // for people: what is wrong, and what is allowed
  std::string param;                 // the field at fault; empty: none
  std::uint32_t retry_after_ms = 0;  // 0: trying again as it is does not help
};

// OpenAI's class of an error, which its clients show: invalid_request_error, server_error, …
constexpr std::string_view error_type(int status) {
  if (status == 401 || status == 403) return "authentication_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

}  // namespace aorta::fronts
