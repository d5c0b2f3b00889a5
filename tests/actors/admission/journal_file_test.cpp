// The journal's file: what is written comes back, whoever died; what cannot be read harms nobody.
#include "actors/admission/journal_file.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/mesh/temp_dir.hpp"

namespace aorta::admission {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

constexpr TimePoint start{std::chrono::hours(5)};
const JournalClock at_noon{start, 1'700'000'000'000};

JournalRecord record(std::uint64_t number) {
  JournalRecord record{.request = {~number, number},
                       .choices = 3,
                       .chat = false,
                       .tenant = "team",
                       .model = "m",
                       .idempotency_key = std::string("k\0\xff", 3),
                       .body_digest = "d",
                       .tier = mesh::Tier::urgent,
                       .determinism = mesh::Determinism::strict,
                       .on_disconnect = OnDisconnect::finish,
                       .top_logprobs = 4,
                       .min_tokens = 2,
                       .max_tokens = 77,
                       .stop_ids = {0, 9},
                       .stop_strings = {"stop", std::string("\xc3", 1)},
                       .reasoning = engine::Reasoning::open,
                       .prompt = {1, 0, 2'000'000'000, -1},
                       .arrived = start - seconds(3),
                       .deadline = start + seconds(60)};
  record.sampling.temperature = 0.1f;
  record.sampling.logit_bias = {{5, -1.1f}};
  record.sampling.seed = ~std::uint64_t{7};
  return record;
}

class JournalFileTest : public testing::Test {
 protected:
  JournalFileOptions options(std::uint64_t life = 1) {
    return {.path = dir_.file("admission.sqlite"), .owner = Incarnation{life}};
  }
  std::unique_ptr<JournalFile> open(std::uint64_t life = 1) {
    auto opened = JournalFile::open(options(life));
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    if (!opened) return nullptr;
    warning_ = opened->warning;
    return std::move(opened->file);
  }
  std::vector<JournalEntry> read(JournalFile& file, const JournalClock& clock = at_noon) {
    auto entries = file.read(clock, unreadable_);
    EXPECT_TRUE(entries.ok());
    return entries.ok() ? *entries : std::vector<JournalEntry>();
  }
  Result<void> apply(JournalFile& file, std::vector<JournalCommand> commands) {
    return file.apply(commands, at_noon);
  }
  void sql(const std::string& text) {
    sqlite3* database = nullptr;
    sqlite3_open(options().path.c_str(), &database);
    EXPECT_EQ(sqlite3_exec(database, text.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << text;
    sqlite3_close(database);
  }

  TempDir dir_;
  std::string warning_;
  std::size_t unreadable_ = 0;
};

TEST_F(JournalFileTest, GivesTheNextLifeAllThatWasWritten) {
  const JournalEnding ending{2, {"", 500, "poison", "sentence"}, TokenIndex{9}, start};
  {
    auto file = open();
    EXPECT_TRUE(read(*file).empty());
    ASSERT_TRUE(apply(*file, {JournalWrite{record(1)}, JournalWrite{record(2)},
                              JournalNumerics{record(1).request, 0, "cpu-1"},
                              JournalEnd{record(1).request, ending},
                              JournalErase{record(2).request}, JournalWrite{record(3)}})
                    .ok());
  }
  // A machine that has started anew since, ten seconds later.
  const JournalClock later{TimePoint{seconds(30)}, at_noon.unix_ms + 10'000};
  auto file = open(2);
  const auto entries = read(*file, later);
  ASSERT_EQ(entries.size(), 2u);
  const JournalEntry& one = entries[1];  // ids begin with ~number
  EXPECT_EQ(one.record.request, record(1).request);
  EXPECT_EQ(one.record.choices, 3u);
  EXPECT_EQ(one.record.life, 1u);
  EXPECT_FALSE(one.record.chat);
  EXPECT_EQ(one.record.tenant, "team");
  EXPECT_EQ(one.record.model, "m");
  EXPECT_EQ(one.record.idempotency_key, record(1).idempotency_key);
  EXPECT_EQ(one.record.body_digest, "d");
  EXPECT_EQ(one.record.tier, mesh::Tier::urgent);
  EXPECT_EQ(one.record.determinism, mesh::Determinism::strict);
  EXPECT_EQ(one.record.on_disconnect, OnDisconnect::finish);
  EXPECT_EQ(one.record.top_logprobs, 4u);
  EXPECT_EQ(one.record.min_tokens, 2u);
  EXPECT_EQ(one.record.max_tokens, 77u);
  EXPECT_EQ(one.record.stop_ids, record(1).stop_ids);
  EXPECT_EQ(one.record.stop_strings, record(1).stop_strings);
  EXPECT_EQ(one.record.reasoning, engine::Reasoning::open);
  EXPECT_EQ(one.record.prompt, record(1).prompt);
  EXPECT_EQ(one.record.sampling.temperature, 0.1f);
  EXPECT_EQ(one.record.sampling.logit_bias, record(1).sampling.logit_bias);
  EXPECT_EQ(one.record.sampling.seed, record(1).sampling.seed);
  EXPECT_EQ(one.record.arrived, later.steady - seconds(13));
  EXPECT_EQ(one.record.deadline, later.steady + seconds(50));
  EXPECT_EQ(one.numerics_ids, (std::map<std::uint32_t, std::string>{{0, "cpu-1"}}));
  ASSERT_EQ(one.endings.size(), 1u);
  EXPECT_EQ(one.endings[0].choice, 2u);
  EXPECT_EQ(one.endings[0].outcome.code, "poison");
  EXPECT_EQ(one.endings[0].outcome.status, 500);
  EXPECT_EQ(one.endings[0].tokens, TokenIndex{9});
  EXPECT_EQ(one.endings[0].at, later.steady - seconds(10));
}

TEST_F(JournalFileTest, RaisesLivesBeforeItTellsThem) {
  ASSERT_TRUE(apply(*open(), {JournalWrite{record(1)}}).ok());
  for (std::uint64_t life = 2; life < 5; ++life) {
    EXPECT_EQ(read(*open(life)).at(0).record.life, life - 1);
  }
}

TEST_F(JournalFileTest, IsPrivate) {
  auto file = open();
  ASSERT_TRUE(apply(*file, {JournalWrite{record(1)}}).ok());
  for (const auto& entry : fs::directory_iterator(fs::path(options().path).parent_path())) {
    struct stat info {};
    ASSERT_EQ(::stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << entry.path();
  }
}

TEST_F(JournalFileTest, WritesAllOrNothing) {
  JournalFileOptions small = options();
  small.max_bytes = 1 << 20;
  auto opened = JournalFile::open(small);
  JournalFile& file = *opened->file;
  JournalRecord large = record(2);
  large.prompt.resize(1 << 20);
  const auto failed = apply(file, {JournalWrite{record(1)}, JournalWrite{large}});
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::resource_exhausted);
  EXPECT_TRUE(read(file).empty());
  EXPECT_TRUE(apply(file, {JournalWrite{record(1)}}).ok());
  EXPECT_EQ(read(file).size(), 1u);
}

TEST_F(JournalFileTest, AnEarlierLifeThatStillRunsCanWriteNoMore) {
  auto earlier = open(1);
  ASSERT_TRUE(apply(*earlier, {JournalWrite{record(1)}}).ok());
  auto later = open(2);
  const auto refused = apply(*earlier, {JournalErase{record(1).request}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  EXPECT_EQ(read(*later).size(), 1u);
  EXPECT_TRUE(apply(*later, {JournalErase{record(1).request}}).ok());
  EXPECT_EQ(JournalFile::open(options(1)).error().code, ErrorCode::conflict);
}

TEST_F(JournalFileTest, RefusesANewerOnesAndAnothersFile) {
  ASSERT_TRUE(apply(*open(), {JournalWrite{record(1)}}).ok());
  sql("PRAGMA user_version=2");
  auto newer = JournalFile::open(options(2));
  ASSERT_FALSE(newer.ok());
  EXPECT_EQ(newer.error().code, ErrorCode::unsupported);
  EXPECT_NE(newer.error().message.find("newer aorta"), std::string::npos);
  sql("PRAGMA user_version=1; PRAGMA application_id=77");
  EXPECT_EQ(JournalFile::open(options(2)).error().code, ErrorCode::unsupported);
  sql("PRAGMA application_id=" + std::to_string(0x414f524a));
  EXPECT_EQ(read(*open(2)).size(), 1u);  // nothing was touched
}

TEST_F(JournalFileTest, RefusesAnotherMeshs) {
  JournalFileOptions mine = options(5);
  mine.mesh = "/state/8080";
  {
    auto file = std::move(JournalFile::open(mine)->file);
    ASSERT_TRUE(apply(*file, {JournalWrite{record(1)}}).ok());
    JournalFileOptions other = options(6);
    other.mesh = "/state/9090";
    const auto refused = JournalFile::open(other);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::conflict);
    EXPECT_NE(refused.error().message.find("with the state folder /state/8080: name another"),
              std::string::npos)
        << refused.error().message;
    EXPECT_TRUE(apply(*file, {JournalWrite{record(2)}}).ok());  // whose it is goes on
  }
  mine.owner = Incarnation{7};
  EXPECT_EQ(read(*JournalFile::open(mine)->file).size(), 2u);
}

TEST_F(JournalFileTest, NoticesThatItWasDeleted) {
  auto file = open();
  ASSERT_TRUE(apply(*file, {JournalWrite{record(1)}}).ok());
  for (const char* part : {"", "-wal", "-shm"}) fs::remove(options().path + part);
  const auto failed = apply(*file, {JournalWrite{record(2)}});
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::not_found);
  EXPECT_NE(failed.error().message.find("was deleted"), std::string::npos);
}

TEST_F(JournalFileTest, SetsADamagedFileAside) {
  for (const bool all : {true, false}) {
    {
      auto file = open();
      for (std::uint64_t i = 0; i < 50; ++i) {
        ASSERT_TRUE(apply(*file, {JournalWrite{record(i)}}).ok());
      }
    }
    {
      std::fstream raw(options().path, std::ios::in | std::ios::out | std::ios::binary);
      raw.seekp(all ? 0 : 4096);
      for (int i = 0; i < 3000; ++i) raw.put('x');
    }
    auto file = open();
    ASSERT_TRUE(file);
    EXPECT_NE(warning_.find("cannot be resumed"), std::string::npos) << warning_;
    EXPECT_TRUE(fs::exists(options().path + ".damaged"));
    EXPECT_TRUE(read(*file).empty());
    EXPECT_TRUE(apply(*file, {JournalWrite{record(1)}}).ok());
  }
}

TEST_F(JournalFileTest, DropsARecordThatCannotBeRead) {
  ASSERT_TRUE(apply(*open(), {JournalWrite{record(1)}, JournalWrite{record(2)},
                              JournalWrite{record(3)}})
                  .ok());
  sql("UPDATE requests SET parameters = x'ff' WHERE rowid = 1;"
      "UPDATE requests SET prompt = x'010203' WHERE rowid = 2");
  auto file = open(2);
  EXPECT_EQ(read(*file).size(), 1u);
  EXPECT_EQ(unreadable_, 2u);
  EXPECT_EQ(read(*file).size(), 1u);
  EXPECT_EQ(unreadable_, 0u);
}

TEST_F(JournalFileTest, MakesItsFolder) {
  JournalFileOptions missing = options();
  missing.path = dir_.file("journal/admission.sqlite");
  EXPECT_TRUE(JournalFile::open(missing).ok());
}

TEST_F(JournalFileTest, CannotBeOpenedWhereNothingCanBeWritten) {
  JournalFileOptions nowhere = options();
  nowhere.path = dir_.file("no/such/folder.sqlite");
  const auto opened = JournalFile::open(nowhere);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::io);
  EXPECT_NE(opened.error().message.find("journal.folder"), std::string::npos);
}

TEST_F(JournalFileTest, ALifeThatNoEpochCouldHoldIsNotRead) {
  ASSERT_TRUE(apply(*open(), {JournalWrite{record(1)}, JournalWrite{record(2)}}).ok());
  sql("UPDATE requests SET life = 4294967296 WHERE rowid = 1");  // 0 in 32 bits
  EXPECT_EQ(read(*open(2)).size(), 1u);
  EXPECT_EQ(unreadable_, 1u);
}

TEST_F(JournalFileTest, SyncsBesideTheOneThatWrites) {
  auto file = open();
  JournalSync sync(options().path);
  for (std::uint64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(apply(*file, {JournalWrite{record(i)}}).ok());
    EXPECT_TRUE(sync.sync().ok());
  }
  EXPECT_EQ(read(*file).size(), 20u);
}

TEST_F(JournalFileTest, NothingToDoTriesTheDiskAllTheSame) {
  auto file = open();
  const std::vector<JournalCommand> none;
  EXPECT_TRUE(file->apply(none, at_noon).ok());
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit nothing{1, before.rlim_max};  // byte of a file
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &nothing), 0);
  EXPECT_FALSE(file->apply(none, at_noon).ok());
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_TRUE(file->apply(none, at_noon).ok());
  EXPECT_TRUE(read(*open(2)).empty());
}

}  // namespace
}  // namespace aorta::admission
