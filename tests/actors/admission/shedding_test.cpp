// Overload is an answer: what is taken, held and refused, and with which words.
#include "tests/actors/admission/harness.hpp"

namespace aorta::admission {
namespace {

using mesh::Tier;

GenerateRequest of_tier(const Harness& h, std::uint64_t number, Tier tier) {
  auto ask = h.ask(number);
  ask.tier = tier;
  return ask;
}
Rejected rejection(Harness& h, std::uint64_t connection_number) {
  const auto all = h.events<Rejected>(connection_number);
  EXPECT_EQ(all.size(), 1u);
  return all.empty() ? Rejected{} : all.front();
}

TEST(Shedding, BoundsOpenRequestsInAllAndPerTenant) {
  Harness h({.open_requests = 3, .open_per_tenant = 2});
  h.generate(1, h.ask(1));
  h.generate(2, h.ask(2));
  h.generate(3, h.ask(3));
  EXPECT_EQ(rejection(h, 3).code, "tenant_queue_full");
  EXPECT_EQ(rejection(h, 3).status, 429);
  EXPECT_GE(rejection(h, 3).retry_after_ms, 1000u);
  for (std::uint64_t n : {4, 5}) {
    auto ask = h.ask(n);
    ask.tenant = "other";
    h.generate(n, ask);
  }
  EXPECT_EQ(h.events<Accepted>(4).size(), 1u);
  EXPECT_EQ(rejection(h, 5).code, "queue_full");
  EXPECT_EQ(rejection(h, 5).status, 503);
  h.cancel(1, 1);  // a place is free again
  h.generate(6, h.ask(6));
  EXPECT_EQ(h.events<Accepted>(6).size(), 1u);
  EXPECT_TRUE(h.balanced());
}

TEST(Shedding, TakesAFewBlindWhenTheSchedulerIsSilent) {
  Harness h({.blind_requests = 2});
  h.scheduler_beats = false;
  h.advance(1001);
  for (std::uint64_t n : {1, 2, 3}) h.generate(n, h.ask(n));
  EXPECT_EQ(h.events<Accepted>(2).size(), 1u);
  EXPECT_EQ(rejection(h, 3).code, "scheduler_silent");
  EXPECT_GE(rejection(h, 3).retry_after_ms, 1000u);
  h.beat();
  h.generate(4, h.ask(4));
  EXPECT_EQ(h.events<Accepted>(4).size(), 1u);
  h.advance(1001);
  h.generate(5, h.ask(5));
  EXPECT_EQ(h.events<Accepted>(5).size(), 1u);  // counted anew
}

TEST(Shedding, UrgentRequestsHaveHalfTheSlots) {
  Harness h;
  h.figures.slots_total = 4;
  h.figures.slots_known = 4;
  h.beat();
  for (std::uint64_t n : {1, 2, 3}) h.generate(n, of_tier(h, n, Tier::urgent));
  EXPECT_EQ(h.events<Accepted>(2).size(), 1u);
  EXPECT_EQ(rejection(h, 3).code, "urgent_tier_full");
  h.generate(4, of_tier(h, 4, Tier::high));
  EXPECT_EQ(h.events<Accepted>(4).size(), 1u);
}

TEST(Shedding, UrgentRequestsCountThoseOfOtherAdmissions) {
  Harness h;
  h.figures.running = {8, 0, 0};  // of 16 slots
  h.beat();
  h.generate(1, of_tier(h, 1, Tier::urgent));
  EXPECT_EQ(rejection(h, 1).code, "urgent_tier_full");
}

TEST(Shedding, ARestartOfAllExecutorsRefusesNobody) {
  Harness h;
  h.figures.slots_total = 0;
  h.figures.slots_known = 16;
  h.figures.executors_ready = 1;  // one is back, its slots are not known yet
  h.beat();
  h.generate(1, of_tier(h, 1, Tier::urgent));
  EXPECT_EQ(h.events<Accepted>(1).size(), 1u);
}

TEST(Shedding, RefusesWhatWouldWaitTooLong) {
  Harness h;
  h.figures.slots_free = 0;
  h.figures.starts_per_minute = 60;
  h.figures.queued = {11, 0, 0};
  h.beat();
  h.generate(1, of_tier(h, 1, Tier::high));  // 11 s ahead of it, 10 s allowed
  EXPECT_EQ(rejection(h, 1).code, "overloaded");
  EXPECT_EQ(rejection(h, 1).status, 503);
  EXPECT_GE(rejection(h, 1).retry_after_ms, 1000u);
  h.generate(2, of_tier(h, 2, Tier::normal));  // may wait 60 s
  EXPECT_EQ(h.events<Accepted>(2).size(), 1u);
  auto hasty = of_tier(h, 3, Tier::normal);
  hasty.timeout_ms = 5000;
  h.generate(3, hasty);
  EXPECT_EQ(rejection(h, 3).code, "overloaded");
}

TEST(Shedding, ATenantsOwnQueueDoesNotRefuseOthers) {
  Harness h({.max_wait_ms = {2000, 2500, 2500}});
  h.figures.slots_free = 0;
  h.figures.starts_per_minute = 60;
  h.beat();
  for (std::uint64_t n : {1, 2, 3}) h.generate(n, h.ask(n));
  h.generate(4, h.ask(4));  // 3 s of its own work
  EXPECT_EQ(rejection(h, 4).code, "overloaded");
  auto other = h.ask(5);
  other.tenant = "other";
  h.generate(5, other);
  EXPECT_EQ(h.events<Accepted>(5).size(), 1u);
}

TEST(Shedding, TenantsOfATierShareItsPace) {
  Harness h({.max_wait_ms = {2000, 3500, 3500}});
  h.figures.slots_free = 0;
  h.figures.starts_per_minute = 60;
  h.beat();
  for (std::uint64_t n : {1, 2}) h.generate(n, h.ask(n));
  auto other = h.ask(3);
  other.tenant = "other";
  h.generate(3, other);
  h.generate(4, h.ask(4));  // 2 of its own, each second turn: 4 s
  EXPECT_EQ(rejection(h, 4).code, "overloaded");
  h.gone(3);
  h.generate(5, h.ask(5));  // 2 s
  EXPECT_EQ(h.events<Accepted>(5).size(), 1u);
}

TEST(Shedding, RefusesAtOnceWhenNoExecutorIsWanted) {
  Harness h;
  h.figures.executors_ready = 0;
  h.beat();
  h.generate(1, h.ask(1));
  EXPECT_EQ(rejection(h, 1).code, "no_executor");
  EXPECT_EQ(rejection(h, 1).status, 503);
  EXPECT_GE(rejection(h, 1).retry_after_ms, 1000u);
}

TEST(Shedding, GivesUpWhatWaitsForExecutorsThatNobodyWants) {
  Harness h({.max_wait_ms = {1000, 5000, 20'000}, .hold_ms = 5000});
  h.join(executor(1));
  h.generate(1, of_tier(h, 1, Tier::urgent));
  h.generate(2, of_tier(h, 2, Tier::normal));
  auto parked = h.ask(3);
  parked.on_disconnect = OnDisconnect::park;
  h.generate(3, parked);
  h.gone(3);
  h.run(4, executor(1));
  h.tokens(executor(1), key(4), 0, "streams");
  h.figures.executors_ready = 0;
  h.advance(4900);
  EXPECT_EQ(h.ending(1), "");
  h.figures.executors_coming = 1;  // a change of mind begins the time anew
  h.advance(100);
  h.figures.executors_coming = 0;
  h.advance(4900);
  EXPECT_EQ(h.ending(1), "");
  h.advance(2000);
  EXPECT_EQ(h.ending(1), "no_executor");
  EXPECT_EQ(h.events<Failed>(1).at(0).status, 503);
  EXPECT_EQ(h.ending(2), "");
  h.advance(20'000);
  EXPECT_EQ(h.ending(2), "no_executor");
  EXPECT_EQ(h.ending(4), "");  // its executor drains: it may still finish
  EXPECT_NE(h.core.audit().find("\"parked\":1"), std::string::npos);
  EXPECT_TRUE(h.balanced());
}

TEST(Shedding, ASchedulersSilenceGivesNothingUp) {
  Harness h({.hold_ms = 5000});
  h.generate(1, h.ask(1));
  h.figures.executors_ready = 0;
  h.advance(1000);
  h.scheduler_beats = false;
  h.advance(30'000);
  EXPECT_EQ(h.ending(1), "");
  h.scheduler_beats = true;
  h.advance(4000);  // it must say so for as long again
  EXPECT_EQ(h.ending(1), "");
}

TEST(Shedding, HoldsWhileExecutorsAreComingAndAcceptsWhenOneIsReady) {
  Harness h;
  h.figures.executors_ready = 0;
  h.figures.executors_coming = 1;
  h.beat();
  h.generate(1, h.ask(1));
  h.advance(5000);
  EXPECT_TRUE(h.told.empty());  // nothing is promised yet
  EXPECT_TRUE(h.sent<mesh::Submit>().empty());
  h.figures.executors_ready = 1;
  h.beat();
  EXPECT_EQ(h.events<Accepted>(1).size(), 1u);
  EXPECT_EQ(h.last<mesh::Submit>().open.key, key(1));
  EXPECT_GE(h.last<mesh::Submit>().open.waited_ms, 5000u);
  EXPECT_TRUE(h.balanced());
}

TEST(Shedding, AHoldEndsByTierOrConfigurationWithARefusal) {
  Harness h({.max_wait_ms = {2000, 60000, 60000}, .hold_ms = 10000});
  h.figures.executors_ready = 0;
  h.figures.executors_coming = 1;
  h.beat();
  h.generate(1, of_tier(h, 1, Tier::urgent));
  h.generate(2, of_tier(h, 2, Tier::high));
  h.advance(1999);
  EXPECT_TRUE(h.told.empty());
  h.advance(1);
  EXPECT_EQ(rejection(h, 1).code, "no_executor_ready");
  EXPECT_EQ(rejection(h, 1).status, 503);
  h.advance(7999);
  EXPECT_TRUE(h.events<Rejected>(2).empty());
  h.advance(1);
  EXPECT_EQ(rejection(h, 2).code, "no_executor_ready");
  EXPECT_TRUE(h.events<Accepted>(2).empty());
  EXPECT_TRUE(h.balanced());
}

TEST(Shedding, AHoldEndsWhenExecutorsAreNoLongerWanted) {
  Harness h;
  h.figures.executors_ready = 0;
  h.figures.executors_coming = 1;
  h.beat();
  h.generate(1, h.ask(1));
  h.figures.executors_coming = 0;
  h.beat();
  EXPECT_EQ(rejection(h, 1).code, "no_executor");
}

TEST(Shedding, AHeldClientThatLeavesIsForgotten) {
  Harness h;
  h.figures.executors_ready = 0;
  h.figures.executors_coming = 1;
  h.beat();
  h.generate(1, h.ask(1));
  h.gone(1);
  h.figures.executors_ready = 1;
  h.beat();
  h.advance(100);
  EXPECT_TRUE(h.told.empty());
  EXPECT_TRUE(h.sent<mesh::Submit>().empty());
  EXPECT_EQ(h.core.readiness(h.now).open_requests, 0u);
  EXPECT_TRUE(h.balanced());
}

}  // namespace
}  // namespace aorta::admission
