// `aorta chat`: a conversation. Each line is a question, unless it begins with a slash.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/asking.hpp"
#include "services/interrupts.hpp"
#include "services/line_reader.hpp"

namespace aorta::services {
namespace {

constexpr const char* help =
    "/system TEXT   what the model is told before all else; without TEXT nothing\n"
    "/reset         forget the conversation\n"
    "/help          this\n"
    "/quit          leave, as Ctrl-D\n"
    "Ctrl-C stops an answer; at the prompt, twice leaves.\n";

class Chat {
 public:
  Chat(const AskingOptions& options, client::Client& client)
      : options_(options), client_(client), system_(options.system) {}

  // Until the input ends or somebody wants to leave; the exit code.
  int run() {
    while (!leaving_) {
      const auto line = lines_.read("> ");
      switch (line.kind) {
        case Line::Kind::end:
          if (talking_) fmt::print("\n");
          return code_;
        case Line::Kind::interrupted:
          take_interrupt();
          if (std::exchange(asked_to_leave_, true)) return exit_interrupted;
          fmt::print(stderr, "\n(Ctrl-C again leaves, as /quit does)\n");
          break;
        case Line::Kind::text:
          asked_to_leave_ = false;
          on_line(line.text);
      }
    }
    return code_;
  }

 private:
  void on_line(std::string_view line) {
    if (line.empty()) return;
    if (line.front() == '/') return command(line);
    conversation_.push_back({"user", std::string(line)});
    if (!answer()) conversation_.pop_back();
  }

  void command(std::string_view line) {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view name = line.substr(0, end);
    std::string_view rest = line.substr(end);
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    if (name == "/quit" || name == "/exit") {
      leaving_ = true;
    } else if (name == "/reset") {
      conversation_.clear();
      note("The conversation begins anew.");
    } else if (name == "/system") {
      system_ = rest;
      note(system_.empty() ? "No system message." : "The system message is set.");
    } else if (name == "/help") {
      fmt::print(stderr, "{}", help);
    } else {
      note(fmt::format("There is no {}; /help lists what there is.", name));
    }
  }

  // Streams the next answer and remembers it; false when there was none.
  bool answer() {
    AnswerPrinter printer;
    try {
      client::Stream stream = client_.generate(request_of(options_, with_system()));
      follow(stream, &printer);
      printer.finish();
      if (stream.result()->finish_reason == "cancelled") note("(stopped)");
      if (stream.text().empty()) return false;
      conversation_.push_back({"assistant", stream.text()});
      return true;
    } catch (const client::Interrupted&) {
      printer.finish();
      take_interrupt();
      note("(stopped)");
    } catch (const client::Error& error) {
      printer.finish();
      const int code = report(error);
      if (!talking_) code_ = code;  // a script's to see; a person has seen it
    }
    return false;
  }

  std::vector<client::Message> with_system() const {
    std::vector<client::Message> messages;
    if (!system_.empty()) messages.push_back({"system", system_});
    messages.insert(messages.end(), conversation_.begin(), conversation_.end());
    return messages;
  }

  void note(std::string_view text) const { fmt::print(stderr, "{}\n", text); }

  const AskingOptions& options_;
  client::Client& client_;
  LineReader lines_;
  const bool talking_ = ::isatty(STDIN_FILENO) == 1;  // with a person
  std::string system_;
  std::vector<client::Message> conversation_;
  bool leaving_ = false, asked_to_leave_ = false;
  int code_ = exit_done;
};

int chat(const AskingOptions& options) {
  auto connection = connection_of(options);
  if (!connection) return report_bad_configuration(connection.error());
  catch_interrupts();
  try {
    client::Client client(*connection);
    const client::Status status = greet(client, connection->address);
    if (::isatty(STDIN_FILENO) == 1) {
      fmt::print(stderr, "{} at {}; /help says what else there is, Ctrl-D leaves.\n",
                 options.model.empty() && !status.models.empty() ? status.models[0] : options.model,
                 connection->address);
    }
    return Chat(options, client).run();
  } catch (const client::Interrupted&) {
    return exit_interrupted;
  } catch (const client::Error& error) {
    return report(error);
  }
}

}  // namespace

void add_chat_command(CLI::App& app, Run& run) {
  CLI::App* command = app.add_subcommand("chat", "Talk with a model; /help inside says more");
  auto options = std::make_shared<AskingOptions>();
  add_asking_options(*command, *options);
  command->callback([&run, options] { run = [options] { return chat(*options); }; });
}

}  // namespace aorta::services
