#include "engine/kv/block_store.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "engine/kv/block_store_format.hpp"

namespace aorta::engine {
namespace {

constexpr std::uint64_t block_bytes = 20000;
constexpr std::uint64_t set_bytes = 8 * (20480 + 64) + 2 * 4096;  // one set of eight

using Block = std::vector<std::byte>;

BlockName name_of(std::uint64_t number) { return {number * 0x9E3779B97F4A7C15u, ~number}; }

// What is saved under a name here, and nothing else.
Block block_of(std::uint64_t number, std::size_t bytes = block_bytes) {
  std::mt19937_64 random(number);
  Block block(bytes);
  for (std::byte& b : block) b = static_cast<std::byte>(random());
  return block;
}

class BlockStoreTest : public testing::Test {
 protected:
  BlockStoreTest() {
    std::string name = "/dev/shm/aorta-test-XXXXXX";
    if (::access("/dev/shm", W_OK) != 0) name = "/tmp/aorta-test-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = folder_ + "/kv";
  }
  ~BlockStoreTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::unique_ptr<SharedBlockStore> create(std::uint64_t bytes) {
    auto store = SharedBlockStore::create(path_, bytes, block_bytes);
    EXPECT_TRUE(store.ok()) << store.error().message;
    return std::move(*store);
  }
  std::unique_ptr<SharedBlockStore> open(const std::string& numerics = "n") {
    auto store = SharedBlockStore::open(path_, numerics);
    EXPECT_TRUE(store.ok()) << store.error().message;
    return std::move(*store);
  }
  static bool has(BlockStore& store, std::uint64_t number) {
    Block into(block_bytes);
    if (!store.load(name_of(number), into)) return false;
    EXPECT_EQ(into, block_of(number)) << number;
    return true;
  }
  static void save(BlockStore& store, std::uint64_t number) {
    store.save(name_of(number), block_of(number));
  }
  template <class Change>
  void change_file(Change change) {
    const int file = ::open(path_.c_str(), O_RDWR);
    ASSERT_GE(file, 0);
    struct stat status = {};
    ::fstat(file, &status);
    void* all = ::mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ | PROT_WRITE,
                       MAP_SHARED, file, 0);
    change(static_cast<std::byte*>(all));
    ::munmap(all, static_cast<std::size_t>(status.st_size));
    ::close(file);
  }
  void expect_refused(ErrorCode code, const std::string& part) {
    const auto store = SharedBlockStore::open(path_, "n");
    ASSERT_FALSE(store.ok());
    EXPECT_EQ(store.error().code, code) << store.error().message;
    EXPECT_NE(store.error().message.find(part), std::string::npos) << store.error().message;
  }

  std::string folder_, path_;
};

TEST_F(BlockStoreTest, WhatOneEngineSavesAnotherLoads) {
  const auto owner = create(1 << 22);
  const auto one = open(), two = open(), stranger = open("other numerics");
  EXPECT_EQ(owner->block_bytes(), block_bytes);
  EXPECT_FALSE(one->may_have(name_of(1)));
  save(*one, 1);
  EXPECT_GE(one->last_save_us(), 1u) << "what the copy took";
  save(*two, 1);
  EXPECT_TRUE(two->may_have(name_of(1)));
  EXPECT_EQ(two->last_load_us(), 0u);
  EXPECT_TRUE(has(*two, 1));
  EXPECT_GE(two->last_load_us(), 1u) << "what the copy took";
  EXPECT_FALSE(has(*stranger, 1));
  EXPECT_FALSE(has(*two, 2));
  const auto figures = owner->figures();
  EXPECT_EQ(figures.saved, 1u) << "the second was there";
  EXPECT_EQ(figures.full, 1u);
  EXPECT_EQ(figures.loaded, 1u);
  EXPECT_LE(figures.file_bytes, 1u << 22);
}

TEST_F(BlockStoreTest, ABlockOfAnotherSizeIsNotThere) {
  const auto owner = create(1 << 22);
  const auto store = open();
  save(*store, 1);
  Block small(100);
  EXPECT_FALSE(store->load(name_of(1), small));
  store->save(name_of(2), block_of(2, block_bytes + 1));
  EXPECT_EQ(owner->figures().full, 1u);
  store->save(name_of(3), block_of(3, 100));
  EXPECT_TRUE(store->load(name_of(3), small));
  EXPECT_EQ(small, block_of(3, 100));
}

TEST_F(BlockStoreTest, ASetGivesUpItsLeastRecentlyUsed) {
  const auto owner = create(set_bytes);
  EXPECT_EQ(owner->figures().slots, 8u);
  const auto store = open();
  for (std::uint64_t n = 0; n < 8; ++n) save(*store, n);
  EXPECT_TRUE(has(*store, 0));
  save(*store, 1);  // a second time: used
  save(*store, 8);
  save(*store, 9);
  for (const std::uint64_t n : {0, 1, 4, 5, 6, 7, 8, 9}) EXPECT_TRUE(has(*store, n)) << n;
  for (const std::uint64_t n : {2, 3}) EXPECT_FALSE(has(*store, n)) << n;
  EXPECT_EQ(owner->figures().evicted, 2u);
}

TEST_F(BlockStoreTest, MemoryIsClaimedAsItIsWritten) {
  const auto owner = create(1 << 24);
  const auto taken = [&] {
    struct stat status = {};
    EXPECT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  };
  EXPECT_LT(taken(), 1u << 20);
  const auto store = open();
  for (std::uint64_t n = 0; n < 20; ++n) save(*store, n);
  EXPECT_GE(taken(), 20 * block_bytes);
  EXPECT_LT(taken(), 1u << 20);
  EXPECT_EQ(owner->figures().claimed_bytes, taken());
}

TEST_F(BlockStoreTest, TornBytesAreAMissAndAnEmptySlot) {
  const auto owner = create(1 << 22);
  const auto store = open();
  save(*store, 1);
  change_file([](std::byte* all) {
    const auto& header = *reinterpret_cast<store_format::Header*>(all);
    for (std::uint64_t at = store_format::blocks_at(header.slots); at < header.file_bytes;
         at += header.stride) {
      all[at + 777] ^= std::byte{1};
    }
  });
  EXPECT_FALSE(has(*store, 1));
  EXPECT_EQ(owner->figures().torn, 1u);
  EXPECT_EQ(owner->figures().full, 0u);
  save(*store, 1);
  EXPECT_TRUE(has(*store, 1));
}

TEST_F(BlockStoreTest, AWriterKilledMidwayLosesItsBlockOnly) {
  const auto owner = create(set_bytes);
  const auto store = open();
  for (std::uint64_t n = 0; n < 7; ++n) save(*store, n);
  const pid_t child = ::fork();
  if (child == 0) ::pause();
  ASSERT_GT(child, 0);
  // The child as its death would leave it: the last slot half written.
  change_file([&](std::byte* all) {
    auto* slots = reinterpret_cast<store_format::Slot*>(all + store_format::page);
    for (int i = 0; i < 8; ++i) {
      if (slots[i].state.load() == 0) {
        slots[i].low = name_of(7).low;
        slots[i].high = name_of(7).high;
        slots[i].state =
            store_format::after(0, store_format::writing, static_cast<std::uint64_t>(child));
      }
    }
  });
  EXPECT_FALSE(has(*store, 7));
  EXPECT_EQ(owner->reclaim(), 0u) << "it may still write";
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  save(*store, 100);
  EXPECT_EQ(owner->figures().evicted, 1u) << "the slot is nobody's until it is reclaimed";
  EXPECT_EQ(owner->reclaim(), 1u);
  EXPECT_EQ(owner->figures().writing, 0u);
  save(*store, 101);
  EXPECT_EQ(owner->figures().evicted, 1u);
  EXPECT_TRUE(has(*store, 101));
}

// Mounts a file system of 1 MiB there, for this process alone; false where that is not allowed.
bool mount_small(const std::string& folder) {
  const std::string map = "0 " + std::to_string(::geteuid()) + " 1";
  if (::unshare(CLONE_NEWNS) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    if (!(std::ofstream("/proc/self/uid_map") << map).flush()) return false;
  }
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("none", folder.c_str(), "tmpfs", 0, "size=1m") == 0;
}

TEST_F(BlockStoreTest, AFullFileSystemIsABlockNotSaved) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!mount_small(folder_)) ::_exit(77);
    const auto owner = create(1 << 24);
    const auto store = open();
    for (std::uint64_t n = 0; n < 400; ++n) save(*store, n);  // SIGBUS, if it were done wrongly
    const auto full = owner->figures();
    EXPECT_GT(full.refused, 0u);
    EXPECT_EQ(full.writing, 0u);
    EXPECT_GT(full.full, 30u);
    EXPECT_LT(full.full, 52u);
    EXPECT_LE(full.claimed_bytes, 1u << 20);
    int found = 0;
    for (std::uint64_t n = 0; n < 400; ++n) found += has(*store, n);
    EXPECT_EQ(found, static_cast<int>(full.full));
    EXPECT_GT(full.evicted, 0u) << "sets that have a block give it for a newer one";
    const auto second = SharedBlockStore::create(folder_ + "/second", 1 << 28, 4096);
    EXPECT_EQ(second.error().code, ErrorCode::resource_exhausted) << second.error().message;
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/second"));
    ::_exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "mounting is not allowed";
  EXPECT_EQ(status, 0);
}

TEST_F(BlockStoreTest, RefusesWhatIsNotItsOwnWithASentence) {
  expect_refused(ErrorCode::not_found, "No such file");
  std::ofstream(path_) << "a letter to my aunt";
  ::chmod(path_.c_str(), 0600);
  expect_refused(ErrorCode::corrupt, "too short");
  const auto over = SharedBlockStore::create(path_, 1 << 22, block_bytes);
  ASSERT_FALSE(over.ok());
  EXPECT_NE(over.error().message.find("something else"), std::string::npos);
  EXPECT_EQ(std::filesystem::file_size(path_), 19u) << "it is left alone";
  std::filesystem::remove(path_);

  create(1 << 22);
  const auto bytes = std::filesystem::file_size(path_);
  std::filesystem::resize_file(path_, bytes - 4096);
  expect_refused(ErrorCode::corrupt, "was cut");
  create(1 << 22);  // replaces it
  open();

  using store_format::Header;
  change_file([](std::byte* all) { reinterpret_cast<Header*>(all)->version = 9; });
  expect_refused(ErrorCode::unsupported, "version 9");
  create(1 << 22);
  change_file([](std::byte* all) { reinterpret_cast<Header*>(all)->slots = ~std::uint64_t{7}; });
  expect_refused(ErrorCode::corrupt, "damaged");
  create(1 << 22);
  change_file([](std::byte* all) { reinterpret_cast<Header*>(all)->magic[0] = 'X'; });
  expect_refused(ErrorCode::corrupt, "no KV store");
  std::filesystem::remove(path_);
  create(1 << 22);
  ::chmod(path_.c_str(), 0644);
  expect_refused(ErrorCode::conflict, "0600");
  std::filesystem::remove(path_);
  std::filesystem::create_symlink("/etc/hostname", path_);
  EXPECT_FALSE(SharedBlockStore::open(path_, "n").ok());

  const auto small = SharedBlockStore::create(folder_ + "/small", 4096, block_bytes);
  ASSERT_FALSE(small.ok());
  EXPECT_EQ(small.error().code, ErrorCode::invalid_argument);
}

TEST_F(BlockStoreTest, OutlivesItsOwnerAndIsTakenOver) {
  auto owner = create(1 << 22);
  const auto store = open();
  save(*store, 1);
  owner.reset();  // it died
  EXPECT_TRUE(has(*store, 1));
  save(*store, 2);
  owner = create(1 << 22);
  EXPECT_TRUE(has(*open(), 2));
  const auto larger = create(1 << 23);
  EXPECT_FALSE(has(*store, 1)) << "engines leave the one that was replaced";
  EXPECT_FALSE(has(*open(), 1));
}

TEST_F(BlockStoreTest, RemovedIsGoneForAll) {
  const auto owner = create(1 << 22);
  const auto store = open();
  save(*store, 1);
  owner->remove();
  EXPECT_FALSE(has(*store, 1));
  save(*store, 2);
  expect_refused(ErrorCode::not_found, "No such file");
  const auto next = create(1 << 22);
  owner->remove();
  open();  // the successor's is still there
}

// Many who load and save the same few names in too little room: what is loaded is always right.
void hammer(SharedBlockStore& store, std::uint64_t seed, int turns, std::atomic<int>& wrong) {
  std::mt19937_64 random(seed);
  Block into(block_bytes);
  for (int i = 0; i < turns; ++i) {
    const std::uint64_t number = random() % 24;
    if (random() % 2 == 0) {
      store.save(name_of(number), block_of(number));
    } else if (store.load(name_of(number), into) && into != block_of(number)) {
      ++wrong;
    }
  }
}

TEST_F(BlockStoreTest, ThreadsNeverSeeAnothersBytes) {
  const auto owner = create(2 * set_bytes);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] { hammer(*open(), t, 1500, wrong); });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(owner->figures().loaded, 100u);
  EXPECT_GT(owner->figures().evicted, 100u);
  EXPECT_EQ(owner->figures().writing, 0u);
}

TEST_F(BlockStoreTest, ProcessesThatAreKilledLeaveAStoreThatIsRight) {
  const auto owner = create(2 * set_bytes);
  std::mt19937 random(1);
  for (int round = 0; round < 12; ++round) {
    std::vector<pid_t> children;
    for (std::uint64_t c = 0; c < 3; ++c) {
      const pid_t child = ::fork();
      if (child == 0) {
        std::atomic<int> wrong = 0;
        auto store = SharedBlockStore::open(path_, "n");
        if (store) hammer(**store, static_cast<std::uint64_t>(round) * 3 + c, 100000, wrong);
        ::_exit(1);
      }
      children.push_back(child);
    }
    const auto before = owner->figures().saved;
    while (owner->figures().saved < before + 20 + random() % 50) std::this_thread::yield();
    for (const pid_t child : children) ::kill(child, SIGKILL);
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      EXPECT_TRUE(WIFSIGNALED(status)) << "a child that ended by itself";
    }
    owner->reclaim();
    EXPECT_EQ(owner->figures().writing, 0u);
  }
  std::atomic<int> wrong = 0;
  hammer(*open(), 99, 500, wrong);
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace aorta::engine
