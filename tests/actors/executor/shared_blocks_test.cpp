// What an executor says of cached tokens, and how it finds the host's store of KV blocks.
#include "actors/executor/late_store.hpp"
#include "tests/actors/executor/executor_harness.hpp"

namespace aorta::executor {
namespace {

engine::SequenceKey engine_key(std::uint64_t n, std::uint32_t epoch = 1) {
  return {key(n, epoch).request, key(n, epoch).epoch};
}

class CachedTokensTest : public ExecutorTest {
 protected:
  // A turn of an engine that says what the test wants.
  void turn(engine::StepReport report) {
    executor_->take_engine_commands();
    executor_->on_engine(report, {.slots_total = 4, .slots_used = 1}, ++turns_, 10ms, now_, out_);
  }
  std::vector<mesh::TokenRun> runs() {
    std::vector<mesh::TokenRun> runs;
    for (const mesh::Tokens& message : taken<mesh::Tokens>("admission")) {
      runs.insert(runs.end(), message.runs.begin(), message.runs.end());
    }
    return runs;
  }
};

TEST_F(CachedTokensTest, TheTenantsSaltReachesTheEngine) {
  mesh::Start asked = start_of(1);
  asked.cache_salt = 77;
  start(asked);
  const auto commands = executor_->take_engine_commands();
  ASSERT_EQ(commands.size(), 1u);
  EXPECT_EQ(commands[0].start->cache_salt, 77u);
}

TEST_F(CachedTokensTest, AreToldWithTheFirstIdsAndInBeats) {
  start(start_of(1));
  turn({.begun = {{engine_key(1), 3}}});
  EXPECT_TRUE(runs().empty());
  turn({.tokens = {{engine_key(1), TokenIndex{0}, 5}, {engine_key(1), TokenIndex{1}, 6}}});
  auto sent = runs();
  ASSERT_EQ(sent.size(), 1u) << "several tokens of a step in one run";
  EXPECT_EQ(sent[0].ids, (std::vector<TokenId>{5, 6}));
  EXPECT_EQ(sent[0].cached_tokens, 3u);
  turn({.tokens = {{engine_key(1), TokenIndex{2}, 7}}});
  sent = runs();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].cached_tokens, 0u);
  receive("admission", mesh::Expect{key(1), TokenIndex{0}});
  sent = runs();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].cached_tokens, 3u) << "said again with them";
  advance(100ms);
  const mesh::ExecutorBeat beat = last_beat();
  ASSERT_EQ(beat.running.size(), 1u);
  EXPECT_EQ(beat.running[0].cached_tokens, 3u);
}

TEST_F(CachedTokensTest, OfItsOwnBlocksFoundAgainNothingIsTold) {
  start(start_of(1));
  turn({.begun = {{engine_key(1), 0}}});
  turn({.tokens = {{engine_key(1), TokenIndex{0}, 5}}});
  turn({.begun = {{engine_key(1), 4}}});  // sent back for want of blocks, and begun again
  turn({.tokens = {{engine_key(1), TokenIndex{1}, 6}}});
  receive("admission", mesh::Expect{key(1), TokenIndex{0}});
  for (const mesh::TokenRun& run : runs()) EXPECT_EQ(run.cached_tokens, 0u);
}

TEST_F(CachedTokensTest, CachedBlocksAreNoLeak) {
  executor_->on_engine({}, {.blocks_total = 9, .blocks_used = 0, .blocks_cached = 9}, ++turns_, 0ms,
                       now_, out_);
  EXPECT_TRUE(balanced());
  executor_->on_engine({}, {.blocks_total = 9, .blocks_used = 1, .blocks_cached = 8}, ++turns_, 0ms,
                       now_, out_);
  EXPECT_FALSE(balanced());
}

class SharedBlocksTest : public ExecutorTest {
 protected:
  void SetUp() override {
    options_.cache_address = "ipc://cache";
    ExecutorTest::SetUp();
  }
  std::size_t asked() {
    const auto requests = taken<mesh::PackRequest>("cache");
    for (const mesh::PackRequest& request : requests) {
      EXPECT_EQ(request.gguf_path, "");
      EXPECT_EQ(request.kv_block_bytes, 4096u);
    }
    return requests.size();
  }
  void reply(const std::string& path) {
    receive("cache", mesh::PackReply{.ready = true, .kv_store_path = path});
  }
};

TEST_F(SharedBlocksTest, TheCacheIsAskedWhenItIsMet) {
  executor_->share_blocks(4096, now_);
  advance(3s);
  EXPECT_EQ(asked(), 0u) << "nobody is there";
  welcome("cache");
  advance(2500ms);
  EXPECT_EQ(asked(), 3u) << "until it answers";
  EXPECT_FALSE(executor_->take_store());
  reply("/dev/shm/kv");
  EXPECT_EQ(executor_->take_store(), "/dev/shm/kv");
  EXPECT_FALSE(executor_->take_store());
  advance(5s);
  EXPECT_EQ(asked(), 0u);
}

TEST_F(SharedBlocksTest, ANewLifeOfTheCacheIsAskedAgain) {
  welcome("cache", 7);
  executor_->share_blocks(4096, now_);
  advance(100ms);
  EXPECT_EQ(asked(), 1u);
  reply("/dev/shm/kv");
  EXPECT_TRUE(executor_->take_store());
  welcome("cache", 8);
  advance(100ms);
  EXPECT_EQ(asked(), 1u);
  reply("");
  EXPECT_EQ(executor_->take_store(), "") << "there is none any more";
}

TEST_F(SharedBlocksTest, ANewLifeOfTheCacheIsGreeted) {
  welcome("cache", 7);
  const auto listed = [&](std::uint64_t incarnation) {
    mesh::Membership members = membership({"admission"});
    members.members.push_back({.kind = mesh::ServiceKind::cache,
                               .self = {"cache", Incarnation{incarnation}},
                               .state = mesh::ServiceState::ready,
                               .address = "ipc://cache"});
    receive("scheduler", members);
    advance(100ms);
    return taken<mesh::Hello>("cache").size();
  };
  taken<mesh::Hello>("cache");
  EXPECT_EQ(listed(7), 0u);
  EXPECT_EQ(listed(8), 1u) << "it does not know us: nobody else would tell it";
  welcome("cache", 8);
  EXPECT_EQ(listed(8), 0u);
}

TEST_F(SharedBlocksTest, AnEngineWithoutKvAsksNobody) {
  welcome("cache");
  executor_->share_blocks(0, now_);
  advance(3s);
  EXPECT_EQ(asked(), 0u);
}

struct MemoryStore final : engine::BlockStore {
  bool load(const engine::BlockName&, std::span<std::byte>) override { return ++loads > 0; }
  void save(const engine::BlockName&, std::span<const std::byte>) override { ++saves; }
  int loads = 0, saves = 0;
  std::uint32_t last_load_us() const override { return 70; }
  std::uint32_t last_save_us() const override { return 80; }
};

TEST(LateStore, IsEmptyUntilOneIsKnown) {
  LateStore late;
  std::array<std::byte, 4> bytes{};
  EXPECT_FALSE(late.may_have({1, 2}));
  EXPECT_FALSE(late.load({1, 2}, bytes));
  late.save({1, 2}, bytes);
  auto store = std::make_shared<MemoryStore>();
  late.use(store);
  EXPECT_TRUE(late.may_have({1, 2}));
  EXPECT_EQ(late.last_load_us(), 0u);
  EXPECT_TRUE(late.load({1, 2}, bytes));
  EXPECT_EQ(late.last_load_us(), 70u);
  late.save({1, 2}, bytes);
  EXPECT_EQ(store->saves, 1);
  EXPECT_EQ(late.last_save_us(), 80u);
  late.use(nullptr);
  EXPECT_FALSE(late.load({1, 2}, bytes));
  EXPECT_EQ(store.use_count(), 1) << "what nobody uses is closed";
}

}  // namespace
}  // namespace aorta::executor
