#pragma once
// Settings of the HTTP front. Each has its default, its unit in its name, and a sentence.
#include <cstdint>
#include <string>

namespace aorta::fronts {

struct HttpOptions {
  std::string bind = "127.0.0.1";  // address to listen on: an IP address, not a name
  std::uint16_t port = 8080;       // 0: any free one, which HttpFront::port() tells
  std::string version;             // what /version says
  // Web pages of these origins may call, with commas between them; *: any; empty: none.
  std::string cors_origins;
  // Beyond so many clients a connection is answered 503 and closed.
  std::uint32_t max_connections = 4096;
  std::uint32_t max_header_bytes = 16u << 10;  // a longer one is answered 431
  std::uint32_t max_body_bytes = 4u << 20;     // a longer one is answered 413
  // All bodies on their way in together; beyond it a request is answered 503.
  std::uint64_t max_bodies_bytes = 256u << 20;
  std::uint32_t header_timeout_ms = 10'000;  // for a whole header to arrive: else 408
  std::uint32_t body_timeout_ms = 60'000;    // for a whole body to arrive: else 408
  std::uint32_t idle_timeout_ms = 75'000;    // a connection without a request is closed
  std::uint32_t write_timeout_ms = 60'000;   // a client that takes no byte for so long is gone
  // When so much of an answer waits for its client, admission keeps the rest in the ledger.
  std::uint32_t hold_bytes = 64u << 10;
  // When so much waits nevertheless, the connection is closed.
  std::uint32_t max_unsent_bytes = 8u << 20;
};

}  // namespace aorta::fronts
