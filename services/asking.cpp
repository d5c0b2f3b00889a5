#include "services/asking.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <utility>

#include "services/interrupts.hpp"
#include "services/key_files.hpp"

namespace aorta::services {
namespace {

constexpr const char* no_mesh = "no_mesh";
constexpr const char* dim = "\033[2m";
constexpr const char* plain = "\033[0m";

std::string without_controls(std::string_view text) {
  std::string shown(text);
  std::erase_if(shown,
                [](unsigned char c) { return (c < ' ' && c != '\n' && c != '\t') || c == 127; });
  return shown;
}

}  // namespace

void add_asking_options(CLI::App& command, AskingOptions& options) {
  command.add_option("--system", options.system, "System message");
  command.add_option("--model", options.model, "A served model's id");
  command.add_option("--max-tokens", options.max_tokens, "The longest answer")
      ->check(CLI::PositiveNumber);
  command.add_option("--temperature", options.temperature, "0 always takes the likeliest token")
      ->check(CLI::Range(0.0, 2.0));
  command.add_option("--seed", options.seed, "The same seed gives the same answer")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--tier", options.tier, "urgent, high or normal")
      ->check(CLI::IsMember({"urgent", "high", "normal"}));
  command.add_option("--address", options.address,
                     "A mesh elsewhere, such as tcp://10.0.0.1:8081 (default: the one here)");
  command.add_option("--api-key", options.api_key, "Where the mesh wants one")
      ->envname("AORTA_API_KEY");
  command.add_option("--server-key", options.server_key,
                     "The mesh's CURVE key or a file with it: the connection is then encrypted");
  add_config_options(command, options.invocation);
}

Result<client::Options> connection_of(const AskingOptions& options) {
  client::Options connection;
  connection.address = options.address;
  connection.api_key = options.api_key;
  connection.server_key = options.server_key;
  connection.first_contact = std::chrono::seconds(3);
  if (connection.address.empty()) {
    auto config = load_config(options.invocation);
    if (!config) return config.error();
    connection.address = fmt::format("tcp://{}:{}", config->zmq.bind, config->mesh.port_base + 1);
    // Who can read a mesh's state folder may ask it.
    if (connection.api_key.empty()) connection.api_key = local_key(*config);
    if (connection.server_key.empty() && config->zmq.curve) {
      auto server_key = load_clients_public(*config);
      if (!server_key) return server_key.error();
      connection.server_key = *server_key;
    }
  }
  return connection;
}

client::Request request_of(const AskingOptions& options,
                           const std::vector<client::Message>& conversation) {
  client::Request request(conversation);
  if (options.max_tokens > 0) request.set("max_tokens", options.max_tokens);
  if (options.temperature >= 0) request.set("temperature", options.temperature);
  if (options.seed >= 0) request.set("seed", options.seed);
  if (!options.model.empty()) request.set("model", options.model);
  if (!options.tier.empty()) request.set("tier", options.tier);
  return request;
}

client::Status greet(client::Client& client, const std::string& address) {
  try {
    return client.status();
  } catch (const client::ConnectionLost& lost) {
    throw client::Error(
        no_mesh, fmt::format("no mesh answers at {} ({}): start one with `aorta up`, or name "
                             "it with --port-base or --address",
                             address, lost.what()));
  }
}

AnswerPrinter::AnswerPrinter() : terminal_(::isatty(STDOUT_FILENO) == 1) {}

void AnswerPrinter::print(const client::Piece& piece) {
  if (terminal_ && !piece.reasoning.empty()) {
    if (!std::exchange(thinking_, true)) fmt::print("{}", dim);
    write(piece.reasoning);
  }
  if (!piece.text.empty()) {
    if (std::exchange(thinking_, false)) fmt::print("{}\n\n", plain);
    write(piece.text);
  }
  std::fflush(stdout);
}

void AnswerPrinter::finish() {
  if (std::exchange(thinking_, false)) fmt::print("{}", plain);
  if (std::exchange(line_open_, false)) fmt::print("\n");
  std::fflush(stdout);
}

void AnswerPrinter::write(std::string_view text) {
  line_open_ = true;
  if (terminal_) {
    fmt::print("{}", without_controls(text));
  } else {
    fmt::print("{}", text);
  }
}

void follow(client::Stream& stream, AnswerPrinter* printer) {
  bool cancelled = false;
  for (bool ended = false; !ended;) {
    try {
      const auto piece = stream.next();
      if (piece && printer != nullptr) printer->print(*piece);
      ended = !piece;
    } catch (const client::Interrupted&) {
      if (cancelled) throw;
    }
    if (take_interrupt() && !std::exchange(cancelled, true)) stream.cancel();
  }
}

std::string statistics(const client::Stream& stream, double seconds) {
  const client::Result& result = *stream.result();
  const auto tokens = stream.ids().size();
  return fmt::format("{} tokens in {:.1f} s, {:.1f}/s; {}, seed {}", tokens, seconds,
                     static_cast<double>(tokens) / std::max(seconds, 1e-3), result.finish_reason,
                     stream.seed());
}

int report(const client::Error& error) {
  fmt::print(stderr, "aorta: {}", error.what());
  int code = error.reason == no_mesh || error.status == 401 ? exit_not_possible : exit_failed;
  if (const auto* rejected = dynamic_cast<const client::Rejected*>(&error)) {
    if (rejected->retry_after) {
      fmt::print(stderr, " (try again in {:.1f} s)",
                 static_cast<double>(rejected->retry_after->count()) / 1000);
    }
    if (error.status == 429 || error.status == 503) code = exit_try_again;
  } else if (dynamic_cast<const client::ConnectionLost*>(&error) != nullptr ||
             dynamic_cast<const client::AnswerLost*>(&error) != nullptr) {
    code = exit_try_again;
  } else if (error.reason == "server_key" || error.reason == "address") {
    code = exit_usage;
  }
  fmt::print(stderr, "\n");
  return code;
}

}  // namespace aorta::services
