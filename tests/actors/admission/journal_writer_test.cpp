// The journal's threads: what is asked is answered in order, and a disk that fails is waited for.
#include "actors/admission/journal_writer.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>

#include "tests/mesh/temp_dir.hpp"

namespace aorta::admission {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

RequestId id(std::uint64_t number) { return {1, number}; }

JournalWrite write_of(std::uint64_t number) {
  JournalWrite write;
  write.record.request = id(number);
  write.record.model = "m";
  write.record.prompt = {1, 2, 3};
  write.record.max_tokens = 5;
  return write;
}

class JournalWriterTest : public testing::Test {
 protected:
  JournalWriterOptions options(std::uint64_t life = 1) {
    return {.file = {.path = dir_.file("admission.sqlite"), .owner = Incarnation{life}},
            .sync_every = milliseconds(1),
            .retry_every = milliseconds(20)};
  }
  std::unique_ptr<JournalWriter> writer(JournalWriterOptions options,
                                        std::unique_ptr<JournalFile> file) {
    return std::make_unique<JournalWriter>(
        std::move(options), std::move(file),
        JournalWriter::Events{[this](std::vector<RequestId> requests, const Result<void>& written) {
                                const std::lock_guard lock(mutex_);
                                for (const RequestId one : requests) {
                                  (written.ok() ? written_ : failed_).push_back(one);
                                }
                                told_.notify_one();
                              },
                              [this](std::vector<JournalEntry> entries) {
                                const std::lock_guard lock(mutex_);
                                opened_ = std::move(entries);
                                told_.notify_one();
                              },
                              [this](const Result<void>& state) {
                                const std::lock_guard lock(mutex_);
                                states_.push_back(state.ok());
                                told_.notify_one();
                              }});
  }
  std::unique_ptr<JournalFile> file() { return std::move(open_journal(options().file)->file); }
  // Its file holds a MiB.
  std::unique_ptr<JournalWriter> small_writer() {
    JournalWriterOptions small = options();
    small.file.max_bytes = 1 << 20;
    return writer(small, std::move(open_journal(small.file)->file));
  }
  bool until(const std::function<bool()>& so) {
    std::unique_lock lock(mutex_);
    return told_.wait_for(lock, std::chrono::seconds(20), so);
  }
  std::size_t left(std::uint64_t life) {
    return open_journal(options(life).file)->entries.size();
  }

  TempDir dir_;
  std::mutex mutex_;
  std::condition_variable told_;
  std::vector<RequestId> written_, failed_;
  std::optional<std::vector<JournalEntry>> opened_;
  std::vector<bool> states_;
};

TEST_F(JournalWriterTest, AnswersEachRecordOnceInOrder) {
  {
    auto journal = writer(options(), file());
    for (std::uint64_t i = 0; i < 1000; i += 2) {
      journal->add({write_of(i), write_of(i + 1), JournalErase{id(i)}});
    }
    ASSERT_TRUE(until([&] { return written_.size() == 1000; }));
  }
  for (std::uint64_t i = 0; i < 1000; ++i) EXPECT_EQ(written_[i], id(i));
  EXPECT_TRUE(failed_.empty());
  EXPECT_EQ(left(2), 500u);
}

TEST_F(JournalWriterTest, DoesWhatWasAskedBeforeItEnds) {
  {
    auto journal = writer(options(), file());
    std::vector<JournalCommand> commands;
    for (std::uint64_t i = 0; i < 3000; ++i) commands.emplace_back(write_of(i));
    journal->add(std::move(commands));
  }
  EXPECT_EQ(written_.size(), 3000u);
  EXPECT_EQ(left(2), 3000u);
}

TEST_F(JournalWriterTest, OneRecordTooManyFailsAloneAndWhatIsErasedMakesRoom) {
  auto journal = small_writer();
  JournalWrite large = write_of(2);
  large.record.prompt.resize(1 << 20);
  journal->add({write_of(1), large, write_of(3)});
  ASSERT_TRUE(until([&] { return written_.size() + failed_.size() == 3; }));
  EXPECT_EQ(written_, (std::vector<RequestId>{id(1), id(3)}));
  EXPECT_EQ(failed_, (std::vector<RequestId>{id(2)}));
  // A quarter of it each: the fourth fits when one is gone.
  JournalWrite part = write_of(10);
  part.record.prompt.resize(70'000);
  for (std::uint64_t i = 10; i < 14; ++i) {
    part.record.request = id(i);
    journal->add({part});
  }
  ASSERT_TRUE(until([&] { return failed_.size() == 2; }));
  EXPECT_EQ(failed_.back(), id(13));
  journal->add({JournalErase{id(10)}});
  journal->add({part});
  ASSERT_TRUE(until([&] { return written_.size() == 6; }));
}

TEST_F(JournalWriterTest, OpensAsSoonAsItCanAndTellsWhatWasThere) {
  {
    auto before = writer(options(), file());
    before->add({write_of(7)});
  }
  const std::string path = options().file.path;
  fs::rename(path, path + ".away");
  fs::create_directory(path);  // nothing can be opened here
  written_.clear();
  auto journal = writer(options(2), nullptr);
  journal->add({write_of(1), JournalErase{id(5)}});
  ASSERT_TRUE(until([&] { return failed_.size() == 1; }));
  EXPECT_FALSE(opened_);
  fs::remove(path);
  fs::rename(path + ".away", path);
  ASSERT_TRUE(until([&] { return opened_.has_value(); }));
  ASSERT_EQ(opened_->size(), 1u);
  EXPECT_EQ(opened_->at(0).record.request, id(7));
  ASSERT_TRUE(until([&] { return states_ == std::vector<bool>{true}; }));  // it had begun as false
  journal->add({write_of(8)});
  ASSERT_TRUE(until([&] { return written_.size() == 1; }));
}

TEST_F(JournalWriterTest, FindsOutByItselfThatItCanWriteAgain) {
  auto journal = writer(options(), file());
  const std::string path = options().file.path;
  for (const char* part : {"", "-wal", "-shm"}) fs::remove(path + part);
  fs::create_directory(path);
  journal->add({write_of(1)});
  ASSERT_TRUE(until([&] { return failed_.size() == 1; }));
  ASSERT_TRUE(until([&] { return states_ == std::vector<bool>{false}; }));
  fs::remove(path);
  ASSERT_TRUE(until([&] { return states_ == (std::vector<bool>{false, true}); }));
  journal->add({write_of(2)});
  ASSERT_TRUE(until([&] { return written_.size() == 1; }));
}

TEST_F(JournalWriterTest, FindsOutByItselfThatAFullFileHasRoomAgain) {
  auto journal = small_writer();
  JournalWrite large = write_of(1);
  large.record.prompt.resize(1 << 20);
  journal->add({large});
  ASSERT_TRUE(until([&] { return states_ == (std::vector<bool>{false, true}); }));
  EXPECT_EQ(failed_.size(), 1u);
}

TEST_F(JournalWriterTest, BeginsAnewWhenItsFileIsDeletedInUse) {
  auto journal = writer(options(), file());
  journal->add({write_of(1)});
  ASSERT_TRUE(until([&] { return written_.size() == 1; }));
  for (const char* part : {"", "-wal", "-shm"}) fs::remove(options().file.path + part);
  journal->add({write_of(2)});
  ASSERT_TRUE(until([&] { return failed_.size() == 1; }));
  journal->add({write_of(3)});
  ASSERT_TRUE(until([&] { return written_.size() == 2; }));
  journal.reset();
  EXPECT_EQ(left(2), 1u);
}

TEST_F(JournalWriterTest, NobodyWhoAsksWaitsForALockedFile) {
  auto journal = writer(options(), file());
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(options().file.path.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  for (std::uint64_t i = 0; i < 1000; ++i) journal->add({write_of(i)});
  {
    const std::lock_guard lock(mutex_);
    EXPECT_TRUE(written_.empty());  // all were asked before any was answered
  }
  ASSERT_EQ(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  ASSERT_TRUE(until([&] { return written_.size() + failed_.size() == 1000; }));
}

}  // namespace
}  // namespace aorta::admission
