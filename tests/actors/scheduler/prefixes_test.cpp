// Where prefixes were placed: what is remembered, where it sends a request, what it costs.
#include "actors/scheduler/prefixes.hpp"

#include "tests/actors/scheduler/scheduler_harness.hpp"

namespace aorta::scheduler {
namespace {

std::vector<std::uint64_t> names(std::uint64_t of, std::uint32_t count) {
  std::vector<std::uint64_t> names;
  for (std::uint32_t i = 0; i < count; ++i) names.push_back(of * 1000 + i);
  return names;
}

TEST(Prefixes, KnowsWhatWasPlacedFromTheFirstBlockOn) {
  Prefixes prefixes;
  EXPECT_EQ(prefixes.known(names(1, 3)), 0u);
  prefixes.note(names(1, 3), 10);
  EXPECT_EQ(prefixes.known(names(1, 3)), 3u);
  EXPECT_EQ(prefixes.known(names(1, 5)), 3u);
  EXPECT_EQ(prefixes.known(names(1, 2)), 2u);
  EXPECT_EQ(prefixes.known(names(2, 2)), 0u);
  auto other_beginning = names(1, 3);
  other_beginning[0] = 7;
  EXPECT_EQ(prefixes.known(other_beginning), 0u);
}

TEST(Prefixes, ForgetsTheLongestUnusedAndOfAChainItsEnd) {
  Prefixes prefixes;
  prefixes.note(names(1, 4), 8);
  prefixes.note(names(2, 4), 8);
  prefixes.note(names(1, 4), 8);
  prefixes.note(names(3, 2), 8);
  EXPECT_EQ(prefixes.size(), 8u);
  EXPECT_EQ(prefixes.known(names(1, 4)), 4u);
  EXPECT_EQ(prefixes.known(names(2, 4)), 2u);
  EXPECT_EQ(prefixes.known(names(3, 2)), 2u);
}

TEST(Prefixes, KeepsTheFirstBlocksOfWhatIsLongerThanItself) {
  Prefixes prefixes;
  prefixes.note(names(1, 20), 8);
  EXPECT_EQ(prefixes.size(), 8u);
  EXPECT_EQ(prefixes.known(names(1, 20)), 8u);
  prefixes.note(names(2, 20), 0);
  EXPECT_EQ(prefixes.size(), 0u);
}

class PrefixTest : public SchedulerTest {
 protected:
  static constexpr std::uint32_t prompt = 10 * 16 + 5;

  void ask(std::uint64_t n, std::uint64_t prefix, std::uint32_t tokens = prompt) {
    mesh::OpenRequest open = open_request(n);
    open.prompt_tokens = tokens;
    receive(admission_, mesh::Submit{open, names(prefix, tokens / 16)});
  }
  // It has run to its end.
  void finish(std::uint64_t n, const mesh::PeerId& on) {
    receive(admission_, mesh::Closed{key(n).request});
    executor_says(on, {});
  }
  void add_both() {
    add_executor(e1_);
    add_executor(e2_);
    pass_slow_start(e1_, e2_);
  }
  void pass_slow_start(const mesh::PeerId& one, const mesh::PeerId& other) {
    for (int second = 0; second < 12; ++second) {
      advance(1s);
      executor_says(one, {});
      executor_says(other, {});
      admission_says({});
    }
  }
};

TEST_F(PrefixTest, ARequestGoesWhereItsPrefixIs) {
  add_both();
  ask(1, 7);
  EXPECT_EQ(placed(1), "executor-1");
  ask(2, 8);
  EXPECT_EQ(placed(2), "executor-2") << "no queue there";
  finish(1, e1_);
  finish(2, e2_);
  ask(3, 8);
  EXPECT_EQ(placed(3), "executor-2") << "and not the first of two idle ones";
  finish(3, e2_);
  ask(4, 7);
  EXPECT_EQ(placed(4), "executor-1");
}

TEST_F(PrefixTest, UnlessItsQueueCostsMoreThanIsSaved) {
  add_both();
  ask(1, 9);
  ask(2, 7);
  EXPECT_EQ(placed(2), "executor-2");
  finish(1, e1_);
  finish(2, e2_);
  ask(3, 7);
  ask(4, 7);
  EXPECT_EQ(placed(4), "executor-2") << "five tokens are before it there, 160 are saved";
  ask(5, 11, 900);
  ask(6, 12, 900);
  EXPECT_EQ(placed(6), "executor-2") << "the other has one of those";
  finish(5, e1_);
  ask(7, 7);
  EXPECT_EQ(placed(7), "executor-1") << "900 tokens would be waited for, to save 160";
  EXPECT_TRUE(balanced());
}

TEST_F(PrefixTest, APrefixIsForgottenWithItsExecutor) {
  add_both();
  ask(1, 8);
  EXPECT_EQ(placed(1), "executor-1");
  finish(1, e1_);
  ask(2, 9);
  finish(2, e1_);
  const auto e1_again = peer("executor-1", 2), e2_again = peer("executor-2", 2);
  add_executor(e1_again);
  add_executor(e2_again);
  pass_slow_start(e1_again, e2_again);
  taken<mesh::Placed>(admission_);
  ask(3, 8);
  EXPECT_EQ(placed(3), "executor-1");
  EXPECT_EQ(scheduler_.charged(), 3 * prompt * 0.25) << "nothing is expected in a new life's cache";
}

TEST_F(PrefixTest, WhatIsCachedIsNotCharged) {
  add_both();
  ask(1, 7);
  EXPECT_EQ(scheduler_.charged(), prompt * 0.25);
  finish(1, e1_);
  ask(2, 7);
  EXPECT_EQ(scheduler_.charged(), (prompt + 5) * 0.25);
  EXPECT_EQ(placed(2), "executor-1");
  // It says what it found, once it has a token: less than we thought, or more.
  mesh::RunningRequest run = running(2);
  run.cached_tokens = 64;
  executor_says(e1_, {run});
  EXPECT_EQ(scheduler_.charged(), (prompt + 5) * 0.25) << "it has not begun";
  run.next = TokenIndex{1};
  executor_says(e1_, {run});
  const double told = (prompt + prompt - 64) * 0.25 + 1;
  EXPECT_EQ(scheduler_.charged(), told);
  executor_says(e1_, {run});
  EXPECT_EQ(scheduler_.charged(), told) << "once";
}

TEST_F(PrefixTest, ComputingAgainIsNeverCharged) {
  add_both();
  ask(1, 7);
  EXPECT_EQ(placed(1), "executor-1");
  const double paid = scheduler_.charged();
  receive(e1_, mesh::Goodbye{});
  mesh::OpenRequest again = open_request(1, 2);
  again.prompt_tokens = prompt;
  receive(admission_, mesh::Submit{again, names(7, prompt / 16)});
  EXPECT_EQ(placed(1, 2), "executor-2");
  mesh::RunningRequest run = running(1, 2);
  run.next = TokenIndex{1};
  executor_says(e2_, {run});
  EXPECT_EQ(scheduler_.charged(), paid + 1) << "its first token, and no prompt";
}

TEST_F(PrefixTest, AnExecutorThatHasLostItsCacheIsNotStuck) {
  add_both();
  ask(1, 7, 400 * 16);
  finish(1, e1_);
  ask(2, 7, 400 * 16);
  executor_says(e1_, {running(2)});  // its prefill is computed after all, 256 positions a step
  EXPECT_TRUE(balanced());
}

}  // namespace
}  // namespace aorta::scheduler
