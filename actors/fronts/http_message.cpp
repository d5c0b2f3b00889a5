#include "actors/fronts/http_message.hpp"

#include <fmt/format.h>

#include <ctime>

namespace aorta::fronts {
namespace {

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Payload Too Large";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
  }
  return status < 500 ? "Error" : "Server Error";
}

std::string date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

std::string head(const HttpResponse& response, const HttpFraming& framing) {
  std::string text = fmt::format("HTTP/1.1 {} {}\r\nServer: aorta\r\nDate: {}\r\n", response.status,
                                 reason_of(response.status), date());
  if (response.status != 204) text += "Content-Type: " + response.content_type + "\r\n";
  for (const auto& [name, value] : response.headers) {
    text.append(name).append(": ").append(value).append("\r\n");
  }
  if (!framing.keep_alive) {
    text += "Connection: close\r\n";
  } else if (framing.http_1_0) {
    text += "Connection: keep-alive\r\n";
  }
  return text;
}

}  // namespace

std::string encode_response(const HttpResponse& response, const HttpFraming& framing) {
  std::string text = head(response, framing);
  if (response.status != 204) text += fmt::format("Content-Length: {}\r\n", response.body.size());
  text += "\r\n";
  if (!framing.head_only) text += response.body;
  return text;
}

std::string encode_stream_head(const HttpResponse& response, const HttpFraming& framing) {
  std::string text = head(response, framing);
  if (!framing.http_1_0) text += "Transfer-Encoding: chunked\r\n";
  return text + "\r\n";
}

std::string encode_stream_piece(std::string_view text, const HttpFraming& framing) {
  if (framing.http_1_0) return std::string(text);
  return fmt::format("{:x}\r\n{}\r\n", text.size(), text);  // never empty: that would be the end
}

std::string encode_stream_end(const HttpFraming& framing) {
  return framing.http_1_0 ? "" : "0\r\n\r\n";
}

}  // namespace aorta::fronts
