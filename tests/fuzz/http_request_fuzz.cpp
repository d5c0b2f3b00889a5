// Bytes of a connection to requests. The first byte says how they are cut: a pipeline of requests
// is the same however its bytes arrive, and no body is larger than the limit. (How soon
// a header is known to be wrong does depend on it.)
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "actors/fronts/http_parser.hpp"
#include "tests/fuzz/property.hpp"

namespace aorta::fronts {
namespace {

using fuzz::require;

HttpOptions small_limits() {
  HttpOptions options;
  options.max_header_bytes = 512;  // small, so that inputs reach them
  options.max_body_bytes = 64;
  return options;
}

const HttpOptions options = small_limits();

// A connection: bytes in, a text for each request.
class Connection {
 public:
  void receive(std::string_view bytes) {
    if (failed_) return;
    input_ += bytes;
    while (!input_.empty() && step()) {
    }
  }
  const std::vector<std::string>& requests() const { return requests_; }

 private:
  // False when more bytes are needed, or none are of use any more.
  bool step() {
    switch (parser_->parse(input_)) {
      case HttpParser::Progress::more:
        return false;
      case HttpParser::Progress::header:
        require(parser_->most_body_bytes() <= options.max_body_bytes, "a body's length is limited");
        return true;
      case HttpParser::Progress::error:
        require(parser_->error().status >= 400, "an error has a status");
        require(!parser_->error().message.empty(), "an error says what is wrong");
        failed_ = true;
        return false;
      case HttpParser::Progress::whole:
        take();
        return true;
    }
    return false;
  }
  void take() {
    const bool keep_alive = parser_->keep_alive();
    const HttpRequest request = parser_->take();
    require(request.body.size() <= options.max_body_bytes, "a body is within the limit");
    require(!request.method.empty() && !request.target.empty(), "a request asks for something");
    requests_.push_back(request.method + ' ' + request.target + (keep_alive ? " +" : " -") +
                        request.request_id + '\n' + request.body);
    parser_ = std::make_unique<HttpParser>(options);
  }

  std::unique_ptr<HttpParser> parser_ = std::make_unique<HttpParser>(options);
  std::string input_;
  std::vector<std::string> requests_;
  bool failed_ = false;
};

void check(std::string_view bytes, std::size_t piece) {
  Connection at_once, in_pieces;
  at_once.receive(bytes);
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    in_pieces.receive(bytes.substr(at, piece));
  }
  require(at_once.requests() == in_pieces.requests(), "requests are the same in any pieces");
}

}  // namespace
}  // namespace aorta::fronts

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = 1 + data[0] % 40;
  aorta::fronts::check({reinterpret_cast<const char*>(data + 1), size - 1}, piece);
  return 0;
}
