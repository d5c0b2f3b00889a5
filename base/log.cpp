#include "base/log.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <vector>

namespace aorta::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// A string as JSON: quotes, backslashes and control bytes escaped; UTF-8 passes through.
void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20) {
      out += fmt::format("\\u{:04x}", c);
    } else {
      out += static_cast<char>(c);
    }
  }
  out += '"';
}

// A value stays one word or one quoted string, and a line stays one line.
void append_text_value(std::string& out, const Field& field) {
  const bool plain =
      !field.text.empty() && field.text.find_first_of(" \t\n\r\"=\\") == std::string::npos;
  if (plain) {
    out += field.text;
  } else {
    append_json_string(out, field.text);
  }
}

class State {
 public:
  static State& get() {
    static State state;
    return state;
  }

  void init(const Options& options) {
    std::vector<spdlog::sink_ptr> sinks{std::make_shared<spdlog::sinks::stderr_sink_mt>()};
    if (options.warnings_to_stdout) {
      sinks.push_back(std::make_shared<spdlog::sinks::stdout_sink_mt>());
      sinks.back()->set_level(spdlog::level::warn);
    }
    auto logger = std::make_shared<spdlog::logger>(options.service, sinks.begin(), sinks.end());
    logger->set_level(to_spdlog(options.level));
    logger->flush_on(spdlog::level::debug);
    const bool json = options.format == Format::json;
    const std::string name = options.service.empty() ? "aorta" : options.service;
    logger->set_pattern(
        json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","service":")" + name + R"(",%v})"
             : "%Y-%m-%dT%H:%M:%S.%eZ %l " + name + ": %v",
        spdlog::pattern_time_type::utc);
    format_ = options.format;
    logger_ = std::move(logger);
  }

  spdlog::logger& logger() { return *logger_; }
  Format format() const { return format_; }

 private:
  State() { init({}); }
  std::shared_ptr<spdlog::logger> logger_;
  Format format_ = Format::text;
};

}  // namespace

void init(const Options& options) { State::get().init(options); }

void set_level(Level level) { State::get().logger().set_level(to_spdlog(level)); }

Result<Level> parse_level(std::string_view name) {
  if (name == "debug") return Level::debug;
  if (name == "info") return Level::info;
  if (name == "warning") return Level::warning;
  if (name == "error") return Level::error;
  return Error{ErrorCode::invalid_argument,
               fmt::format("log level '{}' is not one of debug, info, warning, error", name)};
}

std::string format_text(std::string_view message, Fields fields) {
  std::string line(message);
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  for (const Field& field : fields) {
    line += fmt::format(" {}=", field.key);
    append_text_value(line, field);
  }
  return line;
}

std::string format_json(std::string_view message, Fields fields) {
  std::string line = "\"message\":";
  append_json_string(line, message);
  for (const Field& field : fields) {
    line += fmt::format(",\"{}\":", field.key);
    if (field.literal) {
      line += field.text;
    } else {
      append_json_string(line, field.text);
    }
  }
  return line;
}

void event(Level level, std::string_view message, Fields fields) {
  State& state = State::get();
  const auto wanted = to_spdlog(level);
  if (!state.logger().should_log(wanted)) return;
  const std::string line =
      state.format() == Format::json ? format_json(message, fields) : format_text(message, fields);
  state.logger().log(wanted, spdlog::string_view_t(line));
}

}  // namespace aorta::log
