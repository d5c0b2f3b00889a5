// Values into a Config, from YAML, `--set` and the environment: one assign() behind all three.
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <numeric>
#include <set>
#include <sstream>

#include "base/config.hpp"

namespace aorta {
namespace {

Error invalid(std::string message) { return {ErrorCode::invalid_argument, std::move(message)}; }

// Levenshtein's distance, for "did you mean".
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row.back();
}

std::string nearest(std::string_view wanted, const std::vector<std::string>& names) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, wanted.size() / 3) + 1;
  for (const std::string& name : names) {
    const std::size_t d = distance(wanted, name);
    if (d < best_distance) {
      best = name;
      best_distance = d;
    }
  }
  return best;
}

std::string section_of(std::string_view key) { return std::string(key.substr(0, key.find('.'))); }

bool is_section(std::string_view name) {
  const auto& sections = config_sections();
  return std::any_of(sections.begin(), sections.end(),
                     [&](const Section& section) { return section.name == name; });
}

Error unknown_section(std::string_view name) {
  std::vector<std::string> names;
  for (const Section& section : config_sections()) names.push_back(section.name);
  const std::string near = nearest(name, names);
  const std::string known = fmt::format("{}", fmt::join(names, ", "));
  return invalid(
      near.empty() ? fmt::format("there is no section '{}'; the sections are {}", name, known)
                   : fmt::format("there is no section '{}'; did you mean '{}'? The sections are {}",
                                 name, near, known));
}

Error unknown_key(std::string_view key) {
  const std::string section = section_of(key);
  if (!is_section(section)) return unknown_section(section);
  std::vector<std::string> in_section, all;
  for (const Setting& setting : config_settings()) {
    all.push_back(setting.key);
    if (section_of(setting.key) == section) in_section.push_back(setting.key);
  }
  std::string near = nearest(key, in_section);
  if (near.empty()) near = nearest(key, all);
  return invalid(near.empty()
                     ? fmt::format("there is no setting '{}'; '{}' has {}", key, section,
                                   fmt::join(in_section, ", "))
                     : fmt::format("there is no setting '{}'; did you mean '{}'?", key, near));
}

Error wrong_value(const Setting& setting, std::string_view text) {
  return invalid(
      fmt::format("{} is '{}', but must be {}", setting.key, text, allowed_values(setting)));
}

template <class T>
bool parse_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

struct Parse {
  const Setting& setting;
  std::string_view text;

  bool operator()(bool* value) const {
    *value = text == "true";
    return text == "true" || text == "false";
  }
  bool operator()(std::string* value) const {
    *value = text;
    return setting.allowed.empty() ||
           std::find(setting.allowed.begin(), setting.allowed.end(), text) != setting.allowed.end();
  }
  template <class T>
  bool operator()(T* value) const {
    T parsed{};
    if (!parse_number(text, parsed)) return false;
    *value = parsed;
    const auto comparable = static_cast<double>(parsed);
    return std::isfinite(comparable) && comparable >= setting.min && comparable <= setting.max;
  }
};

Result<void> with_place(Result<void> result, const std::string& place) {
  if (result.ok()) return result;
  return Error{result.error().code, place + ": " + result.error().message};
}

// "aorta.yaml:12"; YAML counts lines from 0.
std::string place_of(const std::string& name, const YAML::Mark& mark) {
  return mark.is_null() ? name : fmt::format("{}:{}", name, mark.line + 1);
}

Result<void> load_section(Config& config, const std::string& section, const YAML::Node& node,
                          const std::string& name) {
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const std::string place = place_of(name, entry.first.Mark());
    if (!entry.first.IsScalar()) return invalid(place + ": a setting's name must be text");
    const std::string key = section + "." + entry.first.Scalar();
    if (!seen.insert(key).second) return invalid(fmt::format("{}: {} is set twice", place, key));
    const Setting* setting = find_setting(key);
    if (!setting) return with_place(unknown_key(key), place);
    if (!entry.second.IsScalar()) {
      return invalid(fmt::format("{}: {} is {}, but must be {}", place, key,
                                 entry.second.IsNull()  ? "empty"
                                 : entry.second.IsMap() ? "a map"
                                                        : "a list",
                                 allowed_values(*setting)));
    }
    if (auto done = assign(config, key, entry.second.Scalar()); !done) {
      return with_place(done, place);
    }
  }
  return {};
}

Result<void> load_document(Config& config, const YAML::Node& root, const std::string& name) {
  if (root.IsNull()) return {};
  if (!root.IsMap()) {
    return invalid(fmt::format("{}: a configuration is a map of sections, such as 'log:'",
                               place_of(name, root.Mark())));
  }
  std::set<std::string> seen;
  for (const auto& entry : root) {
    const std::string place = place_of(name, entry.first.Mark());
    if (!entry.first.IsScalar()) return invalid(place + ": a section's name must be text");
    const std::string section = entry.first.Scalar();
    if (!is_section(section)) return with_place(unknown_section(section), place);
    if (!seen.insert(section).second) {
      return invalid(fmt::format("{}: the section '{}' is there twice", place, section));
    }
    if (entry.second.IsNull()) continue;
    if (!entry.second.IsMap()) {
      return invalid(fmt::format("{}: the section '{}' must be a map of settings", place, section));
    }
    if (auto done = load_section(config, section, entry.second, name); !done) return done;
  }
  return {};
}

std::string environment_name(std::string_view key) {
  std::string name = "AORTA_";
  for (char c : key) {
    name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

// AORTA_HTTP_PROT names the section http and none of its settings: a typo, not somebody else's.
bool names_a_section(std::string_view variable) {
  const auto& sections = config_sections();
  return std::any_of(sections.begin(), sections.end(), [&](const Section& section) {
    return variable.starts_with(environment_name(section.name) + "_");
  });
}

}  // namespace

Result<void> assign(Config& config, std::string_view key, std::string_view text) {
  const Setting* setting = find_setting(key);
  if (!setting) return unknown_key(key);
  Config changed = config;
  if (!std::visit(Parse{*setting, text}, setting->field(changed))) {
    return wrong_value(*setting, text);
  }
  config = std::move(changed);
  return {};
}

Result<void> load_yaml(Config& config, const std::string& text, const std::string& name) {
  try {
    Config loaded = config;
    if (auto done = load_document(loaded, YAML::Load(text), name); !done) return done;
    config = std::move(loaded);
    return {};
  } catch (const YAML::Exception& problem) {
    return invalid(fmt::format("{}: not YAML: {}", place_of(name, problem.mark), problem.msg));
  }
}

Result<void> load_yaml_file(Config& config, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return Error{ErrorCode::not_found, fmt::format("the configuration {} cannot be read: {}", path,
                                                   std::strerror(errno))};
  }
  std::ostringstream text;
  text << file.rdbuf();
  if (file.bad() || (text.str().empty() && file.peek() != EOF)) {
    return Error{ErrorCode::io, fmt::format("the configuration {} cannot be read", path)};
  }
  return load_yaml(config, text.str(), path);
}

Result<void> load_set(Config& config, const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos) {
    return invalid(
        fmt::format("--set {}: say SECTION.KEY=VALUE, such as --set log.level=debug", assignment));
  }
  const std::string key = assignment.substr(0, equals);
  return with_place(assign(config, key, assignment.substr(equals + 1)), "--set " + key);
}

Result<void> load_environment(Config& config, const char* const* environment) {
  for (; *environment; ++environment) {
    const std::string_view entry = *environment;
    const std::string_view variable = entry.substr(0, entry.find('='));
    if (!variable.starts_with("AORTA_")) continue;
    const auto& settings = config_settings();
    const auto setting = std::find_if(settings.begin(), settings.end(), [&](const Setting& s) {
      return environment_name(s.key) == variable;
    });
    const std::string place(variable);
    if (setting == settings.end()) {
      if (!names_a_section(variable)) continue;
      std::vector<std::string> names;
      for (const Setting& s : settings) names.push_back(environment_name(s.key));
      return invalid(fmt::format("{}: there is no such setting; did you mean {}?", place,
                                 nearest(variable, names)));
    }
    const std::string_view value = entry.substr(std::min(entry.size(), variable.size() + 1));
    if (auto done = assign(config, setting->key, value); !done) return with_place(done, place);
  }
  return {};
}

}  // namespace aorta
