// The table of settings: loading from three places, what errors say, and that configs/aorta.yaml
// is the table.
#include "base/config.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

namespace aorta {
namespace {

std::string error_of(const std::string& yaml) {
  Config config;
  const auto done = load_yaml(config, yaml, "a.yaml");
  return done.ok() ? "" : done.error().message;
}

TEST(Config, DefaultFileIsTheTable) {
  std::ifstream file(AORTA_SOURCE_DIR "/configs/aorta.yaml");
  std::istringstream table(render_yaml(Config{}));
  int number = 0;
  for (std::string in_table; std::getline(table, in_table);) {
    std::string in_file;
    ++number;
    ASSERT_TRUE(std::getline(file, in_file)) << "the file ends before line " << number;
    ASSERT_EQ(in_file, in_table)
        << "line " << number << "; write it again: aorta config show > configs/aorta.yaml";
  }
  EXPECT_EQ(file.peek(), EOF) << "the file has more lines than the table";
}

TEST(Config, DefaultsAreWithinTheirOwnRanges) {
  for (const Setting& setting : config_settings()) {
    Config config;
    const auto done = assign(config, setting.key, value_text(setting, config));
    EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().message);
    EXPECT_EQ(setting.sentence.back(), '.') << setting.key;
  }
}

TEST(Config, EverySettingIsInAKnownSectionAndOnce) {
  std::set<std::string> sections, keys;
  for (const Section& section : config_sections()) sections.insert(section.name);
  for (const Setting& setting : config_settings()) {
    EXPECT_TRUE(sections.contains(setting.key.substr(0, setting.key.find('.')))) << setting.key;
    EXPECT_TRUE(keys.insert(setting.key).second) << setting.key;
  }
}

TEST(Config, RenderedValuesLoadBack) {
  Config config;
  config.mesh.state_folder = "/tmp/with space: \"and\" quote\\";
  config.mesh.bind = "0.0.0.0";
  config.cache.max_bytes = 123456789012;
  Config loaded;
  const auto done = load_yaml(loaded, render_yaml(config), "a.yaml");
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(render_yaml(loaded), render_yaml(config));
  EXPECT_EQ(loaded.mesh.state_folder, config.mesh.state_folder);
}

TEST(Config, ErrorsNameLineKeyAndWhatIsAllowed) {
  EXPECT_EQ(error_of("log:\n  level: info\n  fromat: json\n"),
            "a.yaml:3: there is no setting 'log.fromat'; did you mean 'log.format'?");
  EXPECT_EQ(error_of("mesh:\n  port_base: eighty\n"),
            "a.yaml:2: mesh.port_base is 'eighty', but must be a whole number from 1 to 65529");
  EXPECT_EQ(error_of("mesh:\n  port_base: 70000\n"),
            "a.yaml:2: mesh.port_base is '70000', but must be a whole number from 1 to 65529");
  EXPECT_EQ(error_of("mesh:\n  port_base: -1\n"),
            "a.yaml:2: mesh.port_base is '-1', but must be a whole number from 1 to 65529");
  EXPECT_EQ(error_of("mesh:\n  insecure: yes\n"),
            "a.yaml:2: mesh.insecure is 'yes', but must be true or false");
  EXPECT_EQ(error_of("\nlog:\n  format: xml\n"),
            "a.yaml:3: log.format is 'xml', but must be one of text, json");
  EXPECT_EQ(error_of("mesh:\n  port_base: [1, 2]\n"),
            "a.yaml:2: mesh.port_base is a list, but must be a whole number from 1 to 65529");
  EXPECT_EQ(error_of("mesh:\n  port_base:\n"),
            "a.yaml:2: mesh.port_base is empty, but must be a whole number from 1 to 65529");
  EXPECT_NE(error_of("lgo:\n  level: info\n")
                .find("a.yaml:1: there is no section 'lgo'; did you "
                      "mean 'log'?"),
            std::string::npos);
  EXPECT_EQ(error_of("log:\n  level: info\n  level: error\n"), "a.yaml:3: log.level is set twice");
  EXPECT_EQ(error_of("log: debug\n"), "a.yaml:1: the section 'log' must be a map of settings");
  EXPECT_EQ(error_of("- log\n"), "a.yaml:1: a configuration is a map of sections, such as 'log:'");
  EXPECT_NE(error_of("log: {level: info\n").find("a.yaml:2: not YAML: "), std::string::npos)
      << error_of("log: {level: info\n");
}

TEST(Config, AFailedLoadChangesNothing) {
  Config config;
  EXPECT_FALSE(load_yaml(config, "log:\n  level: debug\n  format: xml\n", "a.yaml").ok());
  EXPECT_EQ(config.log.level, "info");
}

TEST(Config, EmptyFilesAndSectionsAreDefaults) {
  EXPECT_EQ(error_of(""), "");
  EXPECT_EQ(error_of("# nothing\nlog:\n"), "");
}

TEST(Config, SetOverrides) {
  Config config;
  ASSERT_TRUE(load_set(config, "log.level=debug").ok());
  EXPECT_EQ(config.log.level, "debug");
  ASSERT_TRUE(load_set(config, "model.path=/a=b").ok());
  EXPECT_EQ(config.model.path, "/a=b");
  EXPECT_EQ(load_set(config, "log.level").error().message,
            "--set log.level: say SECTION.KEY=VALUE, such as --set log.level=debug");
  EXPECT_EQ(load_set(config, "log.levle=debug").error().message,
            "--set log.levle: there is no setting 'log.levle'; did you mean 'log.level'?");
}

TEST(Config, EnvironmentOverrides) {
  Config config;
  const char* const environment[] = {"PATH=/bin", "AORTA_MESH_PORT_BASE=9000",
                                     "AORTA_DEMO_MODEL=/m.gguf", nullptr};
  ASSERT_TRUE(load_environment(config, environment).ok());
  EXPECT_EQ(config.mesh.port_base, 9000u);
  const char* const typo[] = {"AORTA_LOG_LEVLE=debug", nullptr};
  EXPECT_EQ(load_environment(config, typo).error().message,
            "AORTA_LOG_LEVLE: there is no such setting; did you mean AORTA_LOG_LEVEL?");
  const char* const wrong[] = {"AORTA_LOG_LEVEL=loud", nullptr};
  EXPECT_EQ(load_environment(config, wrong).error().message,
            "AORTA_LOG_LEVEL: log.level is 'loud', but must be one of debug, info, warning, error");
}

TEST(Config, MissingFileSaysSo) {
  Config config;
  const auto done = load_yaml_file(config, "/nowhere/aorta.yaml");
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::not_found);
  EXPECT_NE(done.error().message.find("/nowhere/aorta.yaml"), std::string::npos);
}

}  // namespace
}  // namespace aorta
