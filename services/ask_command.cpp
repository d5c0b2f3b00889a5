// `aorta ask`: one question through the ZeroMQ front, the answer streamed to the terminal.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.hpp"
#include "services/asking.hpp"
#include "services/interrupts.hpp"

namespace aorta::services {
namespace {

struct AskOptions : AskingOptions {
  std::string question;  // "-" or none: what comes on stdin
  bool as_json = false;
};

Result<std::string> question_of(const AskOptions& options) {
  std::string question = options.question;
  if (question.empty() || question == "-") {
    if (question.empty() && ::isatty(STDIN_FILENO) == 1) {
      return Error{ErrorCode::invalid_argument,
                   "what is the question? aorta ask \"Why is the sky blue?\", or pipe it in"};
    }
    question.assign(std::istreambuf_iterator<char>(std::cin), {});
  }
  question.erase(question.find_last_not_of(" \t\r\n") + 1);
  if (question.empty()) return Error{ErrorCode::invalid_argument, "the question is empty"};
  return question;
}

void print_json(const client::Stream& stream) {
  const client::Result& result = *stream.result();
  nlohmann::json answer = {{"request", stream.request()},
                           {"model", stream.model()},
                           {"seed", stream.seed()},
                           {"text", stream.text()},
                           {"ids", stream.ids()},
                           {"finish_reason", result.finish_reason},
                           {"usage", result.usage},
                           {"epochs", result.epochs},
                           {"same_numerics", result.same_numerics}};
  if (!stream.reasoning().empty()) answer["reasoning"] = stream.reasoning();
  fmt::print("{}\n", answer.dump());
}

// Pieces are printed as they come, or with --json the whole at the end.
int stream_answer(client::Client& client, const AskOptions& options, const std::string& question) {
  std::vector<client::Message> conversation;
  if (!options.system.empty()) conversation.push_back({"system", options.system});
  conversation.push_back({"user", question});
  const TimePoint begun = now();
  client::Stream stream = client.generate(request_of(options, conversation));
  AnswerPrinter printer;
  try {
    follow(stream, options.as_json ? nullptr : &printer);
  } catch (...) {
    printer.finish();
    throw;
  }
  printer.finish();
  if (options.as_json) {
    print_json(stream);
  } else {
    const std::chrono::duration<double> took = now() - begun;
    fmt::print(stderr, "[{}]\n", statistics(stream, took.count()));
  }
  return stream.result()->finish_reason == "cancelled" ? exit_interrupted : exit_done;
}

int ask(const AskOptions& options) {
  const auto question = question_of(options);
  if (!question) return report(question.error());
  auto connection = connection_of(options);
  if (!connection) return report_bad_configuration(connection.error());
  catch_interrupts();
  try {
    client::Client client(*connection);
    greet(client, connection->address);
    return stream_answer(client, options, *question);
  } catch (const client::Interrupted&) {
    return exit_interrupted;
  } catch (const client::Error& error) {
    return report(error);
  }
}

}  // namespace

void add_ask_command(CLI::App& app, Run& run) {
  CLI::App* command = app.add_subcommand("ask", "Ask a question and stream the answer");
  auto options = std::make_shared<AskOptions>();
  command->add_option("QUESTION", options->question, "What to ask; - or none: what is piped in");
  command->add_flag("--json", options->as_json, "The whole answer as an object, ids included");
  add_asking_options(*command, *options);
  command->callback([&run, options] { run = [options] { return ask(*options); }; });
}

}  // namespace aorta::services
