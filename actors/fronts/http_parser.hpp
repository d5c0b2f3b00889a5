#pragma once
// Bytes of a connection to one HTTP request, by Boost.Beast, within limits; no sockets.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "actors/fronts/api_error.hpp"
#include "actors/fronts/http_message.hpp"
#include "actors/fronts/http_options.hpp"

namespace aorta::fronts {

class HttpParser {
 public:
  explicit HttpParser(const HttpOptions& options);
  ~HttpParser();

  enum class Progress {
    more,    // all of `input` that could be used is
    header,  // once: the header is whole
    whole,   // the request is; what is left of `input` belongs to the next one
    error,   // see error(); the connection can't be used any further
  };
  // Takes from the front of `input` what it can use.
  Progress parse(std::string& input);
  const ApiError& error() const { return error_; }

  // From `header` on.
  bool keep_alive() const;
  bool http_1_0() const;
  bool expects_continue() const;
  std::string_view method() const;
  std::string_view target() const;
  std::string_view authorization() const;
  std::uint64_t most_body_bytes() const;  // its length, or the limit when it comes in chunks
  // After `whole`.
  HttpRequest take();

 private:
  struct Beast;
  Progress fail(ApiError error);

  const HttpOptions& options_;
  std::unique_ptr<Beast> beast_;
  std::size_t header_bytes_ = 0;
  bool header_told_ = false;
  ApiError error_;
};

}  // namespace aorta::fronts
