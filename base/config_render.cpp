// A Config as commented YAML that loads back to the same values.
#include <fmt/format.h>

#include <algorithm>

#include "base/config.hpp"

namespace aorta {
namespace {

constexpr std::size_t comment_columns = 96;

// A sentence as `  # …` lines.
std::string comment(std::string_view text, std::string_view indent) {
  std::string out, line;
  const auto flush = [&] {
    if (!line.empty()) out += fmt::format("{}# {}\n", indent, line);
    line.clear();
  };
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    if (indent.size() + 2 + line.size() + 1 + word.size() > comment_columns) flush();
    if (!line.empty()) line += ' ';
    line += word;
    text.remove_prefix(std::min(space + 1, text.size()));
  }
  flush();
  return out;
}

// Text that YAML could take for something else, or cut, goes in double quotes.
std::string scalar(const Setting& setting, const Config& config) {
  const std::string value = value_text(setting, config);
  const bool is_text =
      std::holds_alternative<std::string*>(setting.field(const_cast<Config&>(config)));
  const bool plain = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '/' ||
           c == '-';
  });
  if (!is_text || plain) return value;
  std::string quoted = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace

std::string render_yaml(const Config& config) {
  std::string out =
      "# Every setting of Aorta with its default. A file needs only what it changes; `--set "
      "a.b=c`\n"
      "# and the environment (AORTA_A_B=c) override it. `aorta config check FILE` finds "
      "mistakes.\n";
  for (const Section& section : config_sections()) {
    out += "\n" + comment(section.sentence, "") + section.name + ":\n";
    for (const Setting& setting : config_settings()) {
      if (!setting.key.starts_with(section.name + ".")) continue;
      const std::string key = setting.key.substr(section.name.size() + 1);
      std::string sentence = setting.sentence;
      if (const std::string allowed = allowed_values(setting); allowed != "any text") {
        sentence += " (" + allowed + ")";
      }
      out += comment(sentence, "  ") + fmt::format("  {}: {}\n", key, scalar(setting, config));
    }
  }
  return out;
}

}  // namespace aorta
