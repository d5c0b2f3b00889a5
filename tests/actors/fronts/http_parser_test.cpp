#include "actors/fronts/http_parser.hpp"

#include <gtest/gtest.h>

namespace aorta::fronts {
namespace {

using Progress = HttpParser::Progress;

TEST(HttpParser, ChunksMayArriveByteByByte) {
  const HttpOptions options;
  for (const std::string body : {"0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "0\r\nTrailer: x\r\n\r\n"}) {
    HttpParser parser(options);
    std::string input = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    ASSERT_EQ(parser.parse(input), Progress::header);
    for (std::size_t i = 0; i < body.size(); ++i) {
      input += body[i];
      ASSERT_EQ(parser.parse(input), i + 1 < body.size() ? Progress::more : Progress::whole);
    }
    EXPECT_EQ(parser.take().body, body[0] == '3' ? "abc" : "");
  }
}

TEST(HttpParser, AHeaderIsLimitedInOnePieceToo) {
  HttpOptions options;
  options.max_header_bytes = 64;
  for (const std::size_t value_bytes : {20, 40}) {
    HttpParser parser(options);
    std::string input = "GET / HTTP/1.1\r\nHost: " + std::string(value_bytes, 'a') + "\r\n\r\n";
    const bool fits = input.size() <= options.max_header_bytes;
    ASSERT_EQ(parser.parse(input), fits ? Progress::header : Progress::error);
    if (!fits) EXPECT_EQ(parser.error().status, 431);
  }
}

}  // namespace
}  // namespace aorta::fronts
