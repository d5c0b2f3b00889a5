#pragma once
// Events for people and machines: a line each on stderr, as text or JSON. Never prompts, answers or
// keys: a field carries ids, counts, names and sentences of our own.
#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/result.hpp"

namespace aorta::log {

enum class Level { debug, info, warning, error };
enum class Format { text, json };

struct Options {
  Level level = Level::info;
  Format format = Format::text;
  std::string service;  // who speaks: "executor-1"
  bool warnings_to_stdout =
      false;  // also there: a child of `aorta up`, whose stdout is its terminal
};

// One named value of an event. Requests are named `request_id` everywhere.
struct Field {
  Field(std::string_view key, std::string_view value) : key(key), text(value) {}
  Field(std::string_view key, const char* value) : key(key), text(value) {}
  Field(std::string_view key, const std::string& value) : key(key), text(value) {}
  Field(std::string_view key, const RequestId& id) : key(key), text(id.to_string()) {}
  Field(std::string_view key, bool value)
      : key(key), text(value ? "true" : "false"), literal(true) {}
  template <class T>
  requires(std::integral<T> || std::floating_point<T>) Field(std::string_view key, T value)
      : key(key), text(std::to_string(value)), literal(true) {}

  std::string_view key;
  std::string text;
  bool literal = false;  // a JSON number or boolean: written without quotes
};
using Fields = std::initializer_list<Field>;

// Before it is called, events go out as text at level info.
void init(const Options& options);
void set_level(Level level);  // any thread
Result<Level> parse_level(std::string_view name);

void event(Level level, std::string_view message, Fields fields = {});
inline void debug(std::string_view message, Fields fields = {}) {
  event(Level::debug, message, fields);
}
inline void info(std::string_view message, Fields fields = {}) {
  event(Level::info, message, fields);
}
inline void warning(std::string_view message, Fields fields = {}) {
  event(Level::warning, message, fields);
}
inline void error(std::string_view message, Fields fields = {}) {
  event(Level::error, message, fields);
}

// The part of a line after time, level and service; what a test reads.
std::string format_text(std::string_view message, Fields fields);
std::string format_json(std::string_view message, Fields fields);  // without the outer braces

}  // namespace aorta::log
