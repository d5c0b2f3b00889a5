#include "actors/scheduler/policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace aorta::scheduler {
namespace {

using mesh::Tier;
using namespace std::chrono_literals;

RequestId id(std::uint64_t n) { return {1, n}; }

Job job(std::uint64_t n, Tier tier, const std::string& tenant = "a") {
  return {id(n), tier, tenant, TimePoint(Duration(n)), never};
}

Fit always(RequestId) { return Fit::now; }

// Starts whatever is next; 0 when nothing is.
std::uint64_t start_next(Policy& policy, const std::map<std::uint64_t, Job>& jobs,
                         std::uint32_t slots) {
  const auto next = policy.pick(slots, always);
  if (!next) return 0;
  policy.started(jobs.at(next->low));
  return next->low;
}

class PolicyTest : public ::testing::Test {
 protected:
  void push(const Job& j) {
    jobs_[j.request.low] = j;
    policy_.push(j);
  }
  std::uint64_t next(std::uint32_t slots) { return start_next(policy_, jobs_, slots); }
  void end(std::uint64_t n) { policy_.ended(jobs_.at(n)); }

  Policy policy_{PolicyOptions{}};
  std::map<std::uint64_t, Job> jobs_;
};

TEST_F(PolicyTest, MostUrgentFirstThenArrival) {
  push(job(1, Tier::normal));
  push(job(3, Tier::high));
  push(job(2, Tier::high));
  push(job(4, Tier::urgent));
  EXPECT_EQ(next(4), 4u);
  EXPECT_EQ(next(4), 2u);
  EXPECT_EQ(next(4), 3u);
  EXPECT_EQ(next(4), 1u);
  EXPECT_EQ(next(4), 0u);
}

TEST_F(PolicyTest, DeadlineGoesBeforeArrivalWithinATenant) {
  push(job(1, Tier::high));
  Job hurried = job(2, Tier::high);
  hurried.deadline = TimePoint(1s);
  push(hurried);
  EXPECT_EQ(next(4), 2u);
}

TEST_F(PolicyTest, ATierBelowItsFloorGoesFirst) {
  for (std::uint64_t n = 1; n <= 30; ++n) push(job(n, Tier::urgent));
  for (std::uint64_t n = 101; n <= 110; ++n) push(job(n, Tier::normal));
  for (std::uint64_t n = 201; n <= 210; ++n) push(job(n, Tier::high));
  // Of 20 slots normal keeps 2 and high 3.
  EXPECT_EQ(next(20), 101u);
  EXPECT_EQ(next(20), 102u);
  EXPECT_EQ(next(20), 201u);
  EXPECT_EQ(next(20), 202u);
  EXPECT_EQ(next(20), 203u);
  EXPECT_EQ(next(20), 1u);
  end(101);
  EXPECT_EQ(next(20), 103u);
  EXPECT_EQ(next(20), 2u);
}

TEST_F(PolicyTest, AFloorOfLessThanASlotIsOneStartInTen) {
  for (std::uint64_t n = 1; n <= 1000; ++n) push(job(n, Tier::urgent));
  for (std::uint64_t n = 2001; n <= 3000; ++n) push(job(n, Tier::normal));
  for (int start = 0; start < 10; ++start) end(next(4));  // the first is due after ten
  int normal = 0;
  for (int start = 0; start < 200; ++start) {
    const std::uint64_t n = next(4);
    normal += n > 1000;
    end(n);
  }
  EXPECT_EQ(normal, 20);
}

TEST_F(PolicyTest, TheTenantThatGotLeastIsNext) {
  for (std::uint64_t n = 1; n <= 3; ++n) push(job(n, Tier::high, "a"));
  for (std::uint64_t n = 11; n <= 13; ++n) push(job(n, Tier::high, "b"));
  policy_.charge(jobs_.at(1), 10);
  EXPECT_EQ(next(8), 11u);
  policy_.charge(jobs_.at(11), 30);
  EXPECT_EQ(next(8), 1u);
  EXPECT_EQ(next(8), 2u);
}

TEST_F(PolicyTest, IdleTenantsSaveNoCredit) {
  for (std::uint64_t n = 1; n <= 4; ++n) push(job(n, Tier::high, "busy"));
  policy_.charge(jobs_.at(1), 1000);
  push(job(11, Tier::high, "late"));
  EXPECT_EQ(policy_.virtual_time(Tier::high, "late"), 1000);
}

TEST_F(PolicyTest, IdleTenantsAreForgotten) {
  for (std::uint64_t n = 1; n <= 500; ++n) {
    push(job(n, Tier::high, "tenant" + std::to_string(n)));
    ASSERT_EQ(next(8), n);
    policy_.charge(jobs_.at(n), 5);
    end(n);
  }
  EXPECT_TRUE(policy_.empty());
  EXPECT_EQ(policy_.tenants(), 0u);
}

TEST_F(PolicyTest, WeightsScaleWhatATenantPays) {
  PolicyOptions options;
  options.tenant_weights["gold"] = 4;
  Policy policy(options);
  const Job gold = job(1, Tier::high, "gold");
  policy.push(gold);
  policy.charge(gold, 100);
  EXPECT_EQ(policy.virtual_time(Tier::high, "gold"), 25);
}

TEST_F(PolicyTest, AHeadThatFitsNowhereIsPassedEightTimesThenHolds) {
  push(job(1, Tier::high));
  for (std::uint64_t n = 2; n <= 20; ++n) push(job(n, Tier::high));
  auto big_one = [](RequestId r) { return r == id(1) ? Fit::later : Fit::now; };
  for (std::uint64_t n = 2; n <= 9; ++n) {
    const auto next = policy_.pick(8, big_one);
    ASSERT_TRUE(next);
    EXPECT_EQ(next->low, n);
    policy_.started(jobs_.at(n));
  }
  EXPECT_FALSE(policy_.pick(8, big_one));
  push(job(30, Tier::urgent));
  EXPECT_EQ(policy_.pick(8, big_one), id(30)) << "the urgent are not held up";
  EXPECT_EQ(policy_.pick(8, always), id(30));
}

TEST_F(PolicyTest, WhatNoExecutorHereCouldServeHoldsNobodyUp) {
  push(job(1, Tier::high));
  for (std::uint64_t n = 2; n <= 40; ++n) push(job(n, Tier::high));
  auto other_model = [](RequestId r) { return r == id(1) ? Fit::nowhere : Fit::now; };
  for (std::uint64_t n = 2; n <= 40; ++n) {
    const auto next = policy_.pick(64, other_model);
    ASSERT_EQ(next, id(n));
    policy_.started(jobs_.at(n));
  }
}

TEST_F(PolicyTest, ErasedIsNeverPicked) {
  push(job(1, Tier::high));
  EXPECT_TRUE(policy_.erase(id(1)));
  EXPECT_FALSE(policy_.erase(id(1)));
  EXPECT_EQ(next(8), 0u);
  EXPECT_TRUE(policy_.empty());
}

// A slot-level simulation at twice the capacity: what was pushed is started exactly once, floors
// hold whenever their tier waits, a slot above them goes to the urgent first, tenants of unlike
// demand share alike.
TEST(PolicyRandomTest, OverloadKeepsFloorsAndFairness) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  constexpr std::uint32_t slots = 32;
  Policy policy{PolicyOptions{}};
  std::map<std::uint64_t, Job> waiting;
  struct Run {
    Job job;
    int left;
  };
  std::map<std::uint64_t, Run> running;
  std::map<std::string, double> served;
  std::uint64_t last = 0;
  auto in_tier = [](const auto& jobs, Tier tier) {
    return std::count_if(jobs.begin(), jobs.end(), [&](const auto& j) {
      if constexpr (requires { j.second.left; }) {
        return j.second.job.tier == tier;
      } else {
        return j.second.tier == tier;
      }
    });
  };
  auto backlog = [&](Tier tier, const std::string& tenant) {
    return std::count_if(waiting.begin(), waiting.end(), [&](const auto& entry) {
      return entry.second.tier == tier && entry.second.tenant == tenant;
    });
  };
  auto arrive = [&](Tier tier, const std::string& tenant, std::ptrdiff_t keep) {
    while (backlog(tier, tenant) < keep) {
      const Job j = job(++last, tier, tenant);
      waiting[last] = j;
      policy.push(j);
    }
  };
  for (int step = 0; step < 20000; ++step) {
    if (random() % 8 == 0) arrive(Tier::urgent, "a", 1);
    arrive(Tier::high, "a", 60);  // a asks far more than b
    arrive(Tier::high, "b", 12);
    arrive(Tier::normal, "a", 5);
    if (random() % 50 == 0) {  // a client goes away
      auto gone = std::next(waiting.begin(), static_cast<long>(random() % waiting.size()));
      ASSERT_TRUE(policy.erase(gone->second.request));
      waiting.erase(gone);
    }
    while (running.size() < slots) {
      const bool floors_kept =
          in_tier(running, Tier::normal) >= 3 && in_tier(running, Tier::high) >= 4;
      const bool urgent_waits = in_tier(waiting, Tier::urgent) > 0;
      const auto next = policy.pick(slots, always);
      ASSERT_TRUE(next);
      if (urgent_waits && floors_kept) {
        ASSERT_EQ(waiting.at(next->low).tier, Tier::urgent);
      }
      const Job j = waiting.at(next->low);  // throws when it was started before
      policy.started(j);
      waiting.erase(next->low);
      running[next->low] = {j, static_cast<int>(5 + random() % 100)};
    }
    ASSERT_GE(in_tier(running, Tier::normal), 3);
    ASSERT_GE(in_tier(running, Tier::high), 4);
    for (auto run = running.begin(); run != running.end();) {
      policy.charge(run->second.job, 1);
      if (run->second.job.tier == Tier::high) served[run->second.job.tenant] += 1;
      if (--run->second.left > 0) {
        ++run;
      } else {
        policy.ended(run->second.job);
        run = running.erase(run);
      }
    }
    for (Tier tier : {Tier::urgent, Tier::high, Tier::normal}) {
      ASSERT_EQ(policy.queued(tier), in_tier(waiting, tier));
      ASSERT_EQ(policy.running(tier), in_tier(running, tier));
    }
  }
  EXPECT_LT(served["a"] / served["b"], 1.05);
  EXPECT_GT(served["a"] / served["b"], 0.95);
}

}  // namespace
}  // namespace aorta::scheduler
