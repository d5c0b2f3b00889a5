// `aorta ask`: one question through the ZeroMQ front, the answer streamed to the terminal.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "mesh/client_codec.hpp"
#include "mesh/client_socket.hpp"
#include "services/commands.hpp"

namespace aorta::services {
namespace {

using nlohmann::json;

struct AskOptions {
  Invocation invocation;
  std::string question, system, tier, model;
  std::uint32_t max_tokens = 0;
  double temperature = -1;
  std::int64_t seed = -1;
  bool as_json = false;
};

volatile sig_atomic_t interrupted = 0;

json request_of(const AskOptions& options) {
  json messages = json::array();
  if (!options.system.empty()) {
    messages.push_back({{"role", "system"}, {"content", options.system}});
  }
  messages.push_back({{"role", "user"}, {"content", options.question}});
  json request = {{"id", "ask"}, {"messages", std::move(messages)}};
  if (options.max_tokens > 0) request["max_tokens"] = options.max_tokens;
  if (options.temperature >= 0) request["temperature"] = options.temperature;
  if (options.seed >= 0) request["seed"] = options.seed;
  if (!options.model.empty()) request["model"] = options.model;
  if (!options.tier.empty()) request["aorta"] = {{"tier", options.tier}};
  return request;
}

int refusal(const json& body) {
  fmt::print(stderr, "aorta: {}\n", body.value("message", "the request was refused"));
  const int status = body.value("status", 500);
  return status == 429 || status == 503 ? exit_try_again : exit_failed;
}

// Reads the stream to its end. Ctrl-C cancels the answer; the mesh confirms with `done`.
int follow(mesh::ClientSocket& socket, bool as_json) {
  json ids = json::array();
  std::string text, request;
  bool cancelled = false;
  for (;;) {
    // The front sends a sign of life each second.
    auto frames = socket.receive_client(now() + std::chrono::seconds(30));
    if (interrupted && !cancelled && !request.empty()) {
      cancelled = true;
      (void)socket.send("cancel", {{"request", request}}, now() + std::chrono::seconds(1));
    }
    if (!frames) {
      if (interrupted && request.empty()) return exit_interrupted;
      if (interrupted && cancelled) {
        if (auto again = socket.receive_client(now() + std::chrono::seconds(1)); !again) {
          return exit_interrupted;
        }
        continue;
      }
      return report({ErrorCode::unavailable, "the mesh fell silent: " + frames.error().message});
    }
    auto body = mesh::decode_client(frames->body);
    if (!body) return report(body.error());
    if (frames->verb == "accepted") {
      request = body->value("request", "");
    } else if (frames->verb == "tokens") {
      if (as_json) {
        for (const auto& id : (*body)["ids"]) ids.push_back(id);
        text += body->value("text", "");
      } else {
        fmt::print("{}", body->value("text", ""));
        std::fflush(stdout);
      }
    } else if (frames->verb == "done") {
      if (as_json) {
        (*body)["text"] = text;
        (*body)["ids"] = ids;
        fmt::print("{}\n", body->dump());
      } else {
        fmt::print("\n");
      }
      return interrupted ? exit_interrupted : exit_done;
    } else if (frames->verb == "failed" || frames->verb == "rejected" || frames->verb == "error") {
      if (!as_json && !request.empty()) fmt::print("\n");
      return refusal(*body);
    }
  }
}

int ask(const AskOptions& options) {
  auto config = load_config(options.invocation);
  if (!config) return report_bad_configuration(config.error());
  const std::string endpoint =
      fmt::format("tcp://{}:{}", config->zmq.bind, config->mesh.port_base + 1);
  auto socket = mesh::ClientSocket::connect(endpoint);
  if (!socket) return report(socket.error());
  const auto deadline = now() + std::chrono::seconds(3);
  const Error nobody{ErrorCode::not_found,
                     fmt::format("no mesh answers at {}: start one with `aorta up`, or name it "
                                 "with --port-base",
                                 endpoint)};
  // A first word in return tells a mesh that is down from one that is busy.
  if (auto sent = socket->send("status", json::object(), deadline); !sent) return report(nobody);
  if (auto status = socket->receive_client(deadline); !status) return report(nobody);

  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = 1; };
  ::sigaction(SIGINT, &action, nullptr);  // no SA_RESTART: it wakes the receive
  if (auto sent = socket->send("generate", request_of(options), deadline); !sent) {
    return report(sent.error());
  }
  return follow(*socket, options.as_json);
}

}  // namespace

void add_ask_command(CLI::App& app, Run& run) {
  CLI::App* command = app.add_subcommand("ask", "Ask a question and stream the answer");
  auto options = std::make_shared<AskOptions>();
  command->add_option("QUESTION", options->question, "What to ask")->required();
  command->add_option("--system", options->system, "System message");
  command->add_option("--model", options->model, "A served model's id");
  command->add_option("--max-tokens", options->max_tokens, "The longest answer")
      ->check(CLI::PositiveNumber);
  command->add_option("--temperature", options->temperature, "0 always takes the likeliest token")
      ->check(CLI::Range(0.0, 2.0));
  command->add_option("--seed", options->seed, "The same seed gives the same answer")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--tier", options->tier, "urgent, high or normal");
  command->add_flag("--json", options->as_json, "The whole answer as an object, ids included");
  add_config_options(*command, options->invocation);
  command->callback([&run, options] { run = [options] { return ask(*options); }; });
}

}  // namespace aorta::services
