// The golden files are those that were made: each line of SHA256SUMS holds.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

namespace {

const std::filesystem::path folder = std::string(AORTA_SOURCE_DIR) + "/tests/golden";

TEST(Golden, FilesMatchTheirChecksums) {
  const std::string command =
      "cd '" + folder.string() + "' && sha256sum --check --strict --quiet SHA256SUMS";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

TEST(Golden, EveryModelAndAnswerHasAChecksum) {
  std::set<std::string> listed;
  std::ifstream sums(folder / "SHA256SUMS");
  for (std::string digest, name; sums >> digest >> name;) listed.insert(name.substr(2));
  EXPECT_GE(listed.size(), 8u);
  for (const char* made_elsewhere : {"models", "r1distill", "smollm2", "tiny", "vocab"}) {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder / made_elsewhere)) {
      if (!entry.is_regular_file()) continue;
      const std::string name = std::filesystem::relative(entry.path(), folder).string();
      EXPECT_TRUE(listed.count(name)) << name << " has no line in tests/golden/SHA256SUMS";
    }
  }
}

}  // namespace
