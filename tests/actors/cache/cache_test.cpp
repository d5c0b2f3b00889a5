// The cache event by event: one job however many ask, leases while a member, eviction by bytes.
#include "actors/cache/cache.hpp"

#include <gtest/gtest.h>

namespace aorta::cache {
namespace {

using mesh::PackReply;
using std::chrono::milliseconds;
using std::chrono::seconds;

class CacheTest : public ::testing::Test {
 protected:
  void begin(std::uint64_t max_bytes, const std::vector<PackFile>& found = {},
             bool shares_blocks = true) {
    CacheOptions options;
    options.attendance.scheduler_address = "inproc://scheduler";
    options.max_bytes = max_bytes;
    options.shares_blocks = shares_blocks;
    mesh::Hello hello;
    hello.kind = mesh::ServiceKind::cache;
    hello.self = {"cache", Incarnation{1}};
    cache.emplace(hello, options, found);
    cache->start(now, out);
    cache->receive({"scheduler", {}},
                   mesh::Welcome{mesh::protocol_version, {"scheduler", Incarnation{1}}}, now, out);
  }

  mesh::PeerId join(const std::string& name, std::uint64_t incarnation = 5) {
    mesh::Hello hello;
    hello.kind = mesh::ServiceKind::executor;
    hello.self = {name, Incarnation{incarnation}};
    cache->receive(hello.self, hello, now, out);
    return hello.self;
  }
  void ask(const mesh::PeerId& from, const std::string& gguf) {
    cache->receive(from, mesh::PackRequest{gguf}, now, out);
  }
  void ask_for_store(const mesh::PeerId& from, std::uint64_t block_bytes) {
    cache->receive(from, mesh::PackRequest{"", block_bytes}, now, out);
  }
  void packed(const std::string& gguf, const std::string& pack, std::uint64_t bytes) {
    cache->on_packed(gguf, PackFile{pack, bytes}, now, out);
  }
  void members_are(const std::vector<std::pair<std::string, mesh::ServiceState>>& states) {
    mesh::Membership membership;
    for (const auto& [name, state] : states) {
      mesh::Member member;
      member.self = {name, Incarnation{5}};
      member.state = state;
      membership.members.push_back(member);
    }
    cache->receive({"scheduler", {}}, membership, now, out);
  }
  void advance(Duration by) {
    const TimePoint until = now + by;
    while (cache->next_tick() <= until) {
      now = std::max(now, cache->next_tick());
      cache->tick(now, out);
    }
    now = until;
  }
  std::vector<PackReply> replies(const std::string& to) {
    std::vector<PackReply> found;
    for (const auto& send : out.sends) {
      auto* reply = std::get_if<PackReply>(&send.message);
      if (reply && send.to.name == to) found.push_back(*reply);
    }
    return found;
  }

  TimePoint now{seconds(1000)};
  mesh::Outbox out;
  std::optional<Cache> cache;
};

TEST_F(CacheTest, PacksOnceForAllWhoAsk) {
  begin(1000);
  const auto one = join("executor-1"), two = join("executor-2");
  ask(one, "/m.gguf");
  ask(two, "/m.gguf");
  ask(one, "/m.gguf");
  ASSERT_EQ(cache->take_jobs().size(), 1u);
  cache->on_progress("/m.gguf", 40, out);
  EXPECT_EQ(replies("executor-2").back().percent, 40u);
  EXPECT_FALSE(replies("executor-2").back().ready);
  packed("/m.gguf", "/p/a.pack", 100);
  for (const char* name : {"executor-1", "executor-2"}) {
    const PackReply reply = replies(name).back();
    EXPECT_TRUE(reply.ready);
    EXPECT_EQ(reply.pack_path, "/p/a.pack");
    EXPECT_EQ(reply.gguf_path, "/m.gguf");
  }
}

TEST_F(CacheTest, AsksTheWorkerAgainForALaterRequest) {
  begin(1000);
  ask(join("executor-1"), "/m.gguf");
  cache->take_jobs();
  packed("/m.gguf", "/p/a.pack", 100);
  ask(join("executor-2"), "/m.gguf");
  EXPECT_EQ(cache->take_jobs().size(), 1u) << "the file may have changed since";
}

TEST_F(CacheTest, AnErrorReachesAllWhoWaitAndTheNextRequestTriesAgain) {
  begin(1000);
  const auto one = join("executor-1"), two = join("executor-2");
  ask(one, "/m.gguf");
  ask(two, "/m.gguf");
  cache->take_jobs();
  cache->on_packed("/m.gguf", Error{ErrorCode::resource_exhausted, "the disk is full"}, now, out);
  for (const char* name : {"executor-1", "executor-2"}) {
    EXPECT_EQ(replies(name).back().error, "the disk is full");
    EXPECT_FALSE(replies(name).back().ready);
  }
  ask(one, "/m.gguf");
  EXPECT_EQ(cache->take_jobs().size(), 1u);
}

TEST_F(CacheTest, StrangersAreAskedWhoTheyAre) {
  begin(1000);
  ask({"executor-9", Incarnation{3}}, "/m.gguf");
  EXPECT_TRUE(cache->take_jobs().empty());
  EXPECT_TRUE(std::holds_alternative<mesh::Who>(out.sends.back().message));
}

TEST_F(CacheTest, EvictsTheLongestUnusedUntilItFits) {
  begin(250, {{"/p/old.pack", 100}, {"/p/newer.pack", 100}});
  EXPECT_TRUE(cache->take_evictions().empty());
  ask(join("executor-1"), "/m.gguf");
  packed("/m.gguf", "/p/m.pack", 100);
  EXPECT_EQ(cache->take_evictions(), (std::vector<std::string>{"/p/old.pack"}));
}

TEST_F(CacheTest, LeasedPacksStayUntilTheirHolderIsGone) {
  begin(50);
  ask(join("executor-1"), "/m.gguf");
  packed("/m.gguf", "/p/m.pack", 100);
  members_are({{"executor-1", mesh::ServiceState::ready}});
  advance(seconds(20));
  members_are({{"executor-1", mesh::ServiceState::ready}});
  advance(seconds(20));
  EXPECT_TRUE(cache->take_evictions().empty());
  members_are({{"executor-1", mesh::ServiceState::dead}});
  EXPECT_EQ(cache->take_evictions(), (std::vector<std::string>{"/p/m.pack"}));
}

TEST_F(CacheTest, ALeaseOfOneWhoNeverBecameAMemberEnds) {
  begin(50);
  ask(join("executor-1"), "/m.gguf");
  packed("/m.gguf", "/p/m.pack", 100);
  members_are({});
  EXPECT_TRUE(cache->take_evictions().empty()) << "it may only be starting";
  advance(seconds(31));
  EXPECT_EQ(cache->take_evictions(), (std::vector<std::string>{"/p/m.pack"}));
}

TEST_F(CacheTest, TheStoreIsMadeOnceForAllWhoAsk) {
  begin(50);
  const auto one = join("executor-1"), two = join("executor-2");
  ask_for_store(one, 4096);
  ask_for_store(two, 4096);
  const auto job = cache->take_store_job();
  ASSERT_TRUE(job.has_value());
  EXPECT_EQ(job->block_bytes, 4096u);
  EXPECT_FALSE(cache->take_store_job().has_value());
  EXPECT_TRUE(replies("executor-1").empty());
  cache->on_store(std::string("/dev/shm/kv"), out);
  for (const char* who : {"executor-1", "executor-2"}) {
    ASSERT_EQ(replies(who).size(), 1u);
    EXPECT_EQ(replies(who)[0].kv_store_path, "/dev/shm/kv");
    EXPECT_EQ(replies(who)[0].gguf_path, "");
  }
  ask_for_store(join("executor-3"), 4096);
  EXPECT_FALSE(cache->take_store_job().has_value());
  ASSERT_EQ(replies("executor-3").size(), 1u);
  EXPECT_EQ(replies("executor-3")[0].kv_store_path, "/dev/shm/kv");
  EXPECT_TRUE(cache->take_jobs().empty()) << "no pack was asked for";
}

TEST_F(CacheTest, BlocksOfAnotherSizeWaitUntilNobodyUsesTheFirst) {
  begin(50);
  ask_for_store(join("executor-1"), 4096);
  cache->take_store_job();
  cache->on_store(std::string("/dev/shm/kv"), out);
  const auto other = join("executor-2");
  ask_for_store(other, 8192);
  EXPECT_FALSE(cache->take_store_job().has_value());
  ASSERT_EQ(replies("executor-2").size(), 1u);
  EXPECT_EQ(replies("executor-2")[0].kv_store_path, "") << "it does without";
  members_are({{"executor-1", mesh::ServiceState::dead}});
  ask_for_store(other, 8192);
  const auto job = cache->take_store_job();
  ASSERT_TRUE(job.has_value());
  EXPECT_EQ(job->block_bytes, 8192u);
}

TEST_F(CacheTest, AStoreThatCannotBeMadeIsToldAndTriedAgain) {
  begin(50);
  const auto one = join("executor-1");
  ask_for_store(one, 4096);
  cache->take_store_job();
  cache->on_store(Error{ErrorCode::io, "no room"}, out);
  ASSERT_EQ(replies("executor-1").size(), 1u);
  EXPECT_EQ(replies("executor-1")[0].kv_store_path, "");
  ask_for_store(one, 4096);
  EXPECT_TRUE(cache->take_store_job().has_value());
}

TEST_F(CacheTest, NoStoreWhereNoneIsConfigured) {
  begin(50, {}, false);
  ask_for_store(join("executor-1"), 4096);
  EXPECT_FALSE(cache->take_store_job().has_value());
  ASSERT_EQ(replies("executor-1").size(), 1u);
  EXPECT_TRUE(replies("executor-1")[0].ready);
  EXPECT_EQ(replies("executor-1")[0].kv_store_path, "");
}

// A mesh is whole when all of it are ready: nobody waits for the next beat.
TEST_F(CacheTest, BeatsToASchedulerAsSoonAsItIsThere) {
  const auto beats = [&] {
    return std::count_if(out.sends.begin(), out.sends.end(), [](const auto& send) {
      return std::holds_alternative<mesh::ServiceBeat>(send.message);
    });
  };
  const auto welcome = [&](std::uint64_t incarnation) {
    const mesh::PeerId scheduler{"scheduler", Incarnation{incarnation}};
    cache->receive({"scheduler", {}}, mesh::Welcome{mesh::protocol_version, scheduler}, now, out);
  };
  mesh::Hello hello;
  hello.kind = mesh::ServiceKind::cache;
  hello.self = {"cache", Incarnation{1}};
  CacheOptions options;
  options.attendance.scheduler_address = "inproc://scheduler";
  cache.emplace(hello, options, std::vector<PackFile>{});
  cache->start(now, out);
  advance(milliseconds(30));
  EXPECT_EQ(beats(), 0);
  welcome(1);
  EXPECT_EQ(beats(), 1);
  advance(milliseconds(50));
  welcome(1);
  EXPECT_EQ(beats(), 1) << "no news";
  welcome(2);
  EXPECT_EQ(beats(), 2) << "its next life";
}

TEST_F(CacheTest, DrainSaysGoodbyeAndLeaves) {
  begin(50);
  cache->drain(now, out);
  ASSERT_TRUE(out.leave.has_value());
  EXPECT_EQ(out.leave->exit_code, 0);
}

}  // namespace
}  // namespace aorta::cache
