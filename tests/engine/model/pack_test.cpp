// Packs: made once however many ask, made again when stale or damaged, refused with a sentence when
// they can't be trusted.
#include "engine/model/pack.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <thread>

#include "engine/model/pack_checksum.hpp"
#include "tests/engine/model/test_models.hpp"

namespace aorta::engine {
namespace {

namespace fs = std::filesystem;

std::string tiny_model() { return golden_path("models/gguf/tiny-llama-gqa.Q8_0.gguf"); }

class PackTest : public testing::Test {
 protected:
  std::string pack() {
    auto path = pack_model(tiny_model(), directory_.path());
    EXPECT_TRUE(path.ok()) << path.error().message;
    return *path;
  }
  // Rewrites the header of a pack as `change` says; with a checksum that fits when `honest`.
  template <class Change>
  void rewrite_header(const std::string& path, bool honest, Change change) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    PackHeader header;
    file.read(reinterpret_cast<char*>(&header), sizeof(header));
    std::vector<PackEntry> entries(header.entries);
    file.read(reinterpret_cast<char*>(entries.data()),
              static_cast<std::streamsize>(entries.size() * sizeof(PackEntry)));
    change(header, entries);
    if (honest) header.header_checksum = header_checksum(header, entries);
    file.seekp(0);
    file.write(reinterpret_cast<const char*>(&header), sizeof(header));
    file.write(reinterpret_cast<const char*>(entries.data()),
               static_cast<std::streamsize>(entries.size() * sizeof(PackEntry)));
  }
  std::size_t files_with(const std::string& part) const {
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator(directory_.path())) {
      count += entry.path().filename().string().find(part) != std::string::npos;
    }
    return count;
  }
  static void expect_refused(const std::string& path, ErrorCode code, const std::string& words) {
    auto opened = open_pack(path);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, code);
    EXPECT_NE(opened.error().message.find(words), std::string::npos) << opened.error().message;
  }

  const TemporaryDirectory directory_;
};

TEST_F(PackTest, HoldsTheModelAndVerifies) {
  std::uint64_t last = 0, total = 0;
  auto path = pack_model(tiny_model(), directory_.path() + "/new/folder",
                         [&](std::uint64_t done, std::uint64_t all) { last = done, total = all; });
  ASSERT_TRUE(path.ok()) << path.error().message;
  auto opened = open_pack(*path);
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_EQ(fs::path(*path).filename(), (*opened)->digest() + ".pack");
  EXPECT_EQ(last, fs::file_size(*path));
  EXPECT_EQ(total, last);
  EXPECT_TRUE(verify_pack(**opened).ok());
  EXPECT_TRUE(check_source(**opened, tiny_model()).ok());
  auto weight = (*opened)->weight("blk.0.attn_k.weight", 64, 192);
  ASSERT_TRUE(weight.ok()) << weight.error().message;
  EXPECT_EQ(weight->type, WeightType::q8_0);
  EXPECT_FALSE((*opened)->weight("blk.0.attn_k.weight", 64, 193).ok());
  EXPECT_FALSE((*opened)->floats("blk.0.attn_k.weight", 64, 192).ok());
  EXPECT_FALSE((*opened)->weight("blk.9.attn_k.weight", 64, 192).ok());
}

TEST_F(PackTest, ManyAtOnceMakeItOnce) {
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      auto path = pack_model(tiny_model(), directory_.path());
      _exit(path.ok() && open_pack(*path).ok() ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(files_with(".pack"), 1u);
  EXPECT_EQ(files_with(".tmp"), 0u);
  const auto made = fs::last_write_time(pack());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { pack(); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(fs::last_write_time(pack()), made) << "a good pack was made again";
}

TEST_F(PackTest, ADamagedOneIsRefusedAndMadeAgain) {
  const std::string path = pack();
  const auto good = fs::file_size(path);
  const auto made_again = [&] { return pack() == path && open_pack(path).ok(); };

  fs::resize_file(path, good / 2);
  expect_refused(path, ErrorCode::corrupt, "its header says");
  EXPECT_TRUE(made_again());
  fs::resize_file(path, 40);
  expect_refused(path, ErrorCode::corrupt, "shorter than its header");
  EXPECT_TRUE(made_again());
  rewrite_header(path, false, [](PackHeader& h, auto&) { h.source.digest[0] ^= 1; });
  expect_refused(path, ErrorCode::corrupt, "damaged header");
  EXPECT_TRUE(made_again());
  rewrite_header(path, true, [&](PackHeader&, auto& entries) { entries[3].offset = good; });
  expect_refused(path, ErrorCode::corrupt, "does not lie in it");
  EXPECT_TRUE(made_again());
  rewrite_header(path, true, [&](PackHeader&, auto& entries) { entries[3].bytes = ~0ull; });
  expect_refused(path, ErrorCode::corrupt, "does not lie in it");
  EXPECT_TRUE(made_again());
  rewrite_header(path, true, [&](PackHeader&, auto& entries) { entries[4].rows += 16; });
  expect_refused(path, ErrorCode::corrupt, "does not lie in it");
  EXPECT_TRUE(made_again());
  rewrite_header(path, false, [](PackHeader& h, auto&) { h.entries = ~0u; });
  expect_refused(path, ErrorCode::corrupt, "its header says");
  EXPECT_TRUE(made_again());
  rewrite_header(path, true, [](PackHeader& h, auto&) { h.version = 0; });
  expect_refused(path, ErrorCode::corrupt, "version 0");
  EXPECT_TRUE(made_again());
}

TEST_F(PackTest, IsMadeAgainWhenAskedFor) {
  const std::string path = pack();
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(-100, std::ios::end)
      << 'x';
  EXPECT_FALSE(verify_pack(**open_pack(path)).ok());
  auto again = pack_model(tiny_model(), directory_.path(), {}, true);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(*again, path);
  EXPECT_TRUE(verify_pack(**open_pack(path)).ok());
}

TEST_F(PackTest, DamagedDataIsFoundByVerify) {
  const std::string path = pack();
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-100, std::ios::end);
  file.put('x');
  file.close();
  auto opened = open_pack(path);
  ASSERT_TRUE(opened.ok());
  auto verified = verify_pack(**opened);
  ASSERT_FALSE(verified.ok());
  EXPECT_NE(verified.error().message.find("checksum"), std::string::npos);
}

TEST_F(PackTest, ANewerVersionIsRefusedAndLeftAlone) {
  const std::string path = pack();
  rewrite_header(path, true, [](PackHeader& h, auto&) { h.version = pack_version + 1; });
  expect_refused(path, ErrorCode::unsupported, "newer aorta");
  auto again = pack_model(tiny_model(), directory_.path());
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::unsupported);
}

TEST_F(PackTest, IsFoundWithoutReadingTheModel) {
  const std::string model = directory_.path() + "/model.gguf";
  fs::copy_file(tiny_model(), model);
  const auto found = [&] { return *find_pack(model, directory_.path()); };
  EXPECT_EQ(found(), "");
  const auto path = pack_model(model, directory_.path());
  ASSERT_TRUE(path.ok()) << path.error().message;
  EXPECT_EQ(found(), *path);
  rewrite_header(*path, true, [](PackHeader& h, auto&) { h.version = pack_version - 1; });
  EXPECT_EQ(found(), "") << "an older aorta's";
  EXPECT_EQ(*pack_model(model, directory_.path()), *path);
  EXPECT_EQ(found(), *path);
  fs::last_write_time(model, fs::last_write_time(model) + std::chrono::seconds(1));
  EXPECT_EQ(found(), "") << "the model may have changed since";
  EXPECT_FALSE(find_pack(model + ".gone", directory_.path()).ok());
}

TEST_F(PackTest, AnotherFileAtTheSamePathIsPackedAgain) {
  const std::string model = directory_.path() + "/model.gguf";
  fs::copy_file(tiny_model(), model);
  auto first = pack_model(model, directory_.path());
  ASSERT_TRUE(first.ok()) << first.error().message;
  auto opened = open_pack(*first);
  ASSERT_TRUE(opened.ok());
  // Touched, but the same bytes: the same pack.
  fs::last_write_time(model, fs::last_write_time(model) + std::chrono::hours(1));
  EXPECT_TRUE(check_source(**opened, model).ok());
  EXPECT_EQ(*pack_model(model, directory_.path()), *first);
  // Other bytes: another pack, and the old one no longer fits.
  fs::copy_file(golden_path("models/gguf/tiny-llama-gqa.Q4_0.gguf"), model,
                fs::copy_options::overwrite_existing);
  auto second = pack_model(model, directory_.path());
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_NE(*second, *first);
  auto same = check_source(**opened, model);
  ASSERT_FALSE(same.ok());
  EXPECT_EQ(same.error().code, ErrorCode::conflict);
}

// A limit on file sizes stands in for a full disk: the write fails in the middle.
TEST_F(PackTest, AFullDiskIsASentenceAndLeavesNothing) {
  int channel[2];
  ASSERT_EQ(pipe(channel), 0);
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {100'000, 100'000};
    setrlimit(RLIMIT_FSIZE, &limit);
    auto path = pack_model(tiny_model(), directory_.path());
    const std::string said = path.ok() ? "it worked"
                             : path.error().code == ErrorCode::resource_exhausted
                                 ? path.error().message
                                 : "another error: " + path.error().message;
    [[maybe_unused]] const auto written = write(channel[1], said.data(), said.size());
    _exit(0);
  }
  close(channel[1]);
  char said[1024] = {};
  EXPECT_GT(read(channel[0], said, sizeof(said) - 1), 0);
  close(channel[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_NE(std::strstr(said, "no room for the pack"), nullptr) << said;
  EXPECT_EQ(files_with(".pack"), 0u);
}

TEST_F(PackTest, AnUnusableDirectoryIsASentence) {
  const std::string file = directory_.path() + "/file";
  std::ofstream(file) << "x";
  auto path = pack_model(tiny_model(), file + "/packs");
  ASSERT_FALSE(path.ok());
  EXPECT_EQ(path.error().code, ErrorCode::io);
  EXPECT_NE(path.error().message.find(file), std::string::npos) << path.error().message;
}

TEST_F(PackTest, NoPackAtAll) {
  expect_refused(directory_.path() + "/absent.pack", ErrorCode::not_found, "absent.pack");
  expect_refused(directory_.path(), ErrorCode::io, "mapped");
  auto path = pack_model(directory_.path() + "/absent.gguf", directory_.path());
  ASSERT_FALSE(path.ok());
  EXPECT_EQ(path.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace aorta::engine
