#pragma once
// What `aorta ask` and `aorta chat` share: their options, an answer streamed to the terminal, and
// what to exit with when there is none.
#include <aorta/client.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "services/commands.hpp"

namespace aorta::services {

struct AskingOptions {
  Invocation invocation;
  std::string address;  // empty: that of the mesh of this configuration
  std::string api_key, server_key;  // empty key, of the mesh here: its local one
  std::string system, tier, model;
  std::uint32_t max_tokens = 0;  // 0: as the mesh's configuration says
  double temperature = -1;
  std::int64_t seed = -1;
};

void add_asking_options(CLI::App& command, AskingOptions& options);

// Errors: what is wrong with the configuration.
Result<client::Options> connection_of(const AskingOptions& options);
client::Request request_of(const AskingOptions& options,
                           const std::vector<client::Message>& conversation);

// A first word, which tells a mesh that is down from one that is busy. Throws client::Error; of a
// mesh that does not answer it says how to start or name one.
client::Status greet(client::Client& client, const std::string& address);

// Prints an answer as it comes. Thinking is dimmed on a terminal and left out elsewhere; what could
// steer a terminal is not sent to one.
class AnswerPrinter {
 public:
  AnswerPrinter();
  void print(const client::Piece& piece);
  void finish();  // ends the line

 private:
  void write(std::string_view text);
  bool terminal_;
  bool thinking_ = false;
  bool line_open_ = false;
};

// Reads an answer to its end. Ctrl-C cancels it, which the mesh confirms; a second one does not
// wait for that and throws client::Interrupted.
void follow(client::Stream& stream, AnswerPrinter* printer);

// "60 tokens, 12.5/s, length, seed 7"
std::string statistics(const client::Stream& stream, double seconds);

// Prints what went wrong and what to do about it; the exit code that fits.
int report(const client::Error& error);

}  // namespace aorta::services
