// A request has one owner: who carries it on gets it, who had it is told, and no token is paid for
// twice.
#include "tests/actors/scheduler/scheduler_harness.hpp"

namespace aorta::scheduler {
namespace {

using mesh::LostReason;
using mesh::ServiceKind;
using mesh::ServiceState;

constexpr std::uint32_t carried = 256u << 16 | 1;  // the first epoch at another admission

class CarriedTest : public SchedulerTest {
 protected:
  // Request 1 of `admission` runs on executor-1; `admission-2` is there too.
  void SetUp() override {
    SchedulerTest::SetUp();
    run_first();
    hello(ServiceKind::admission, other_);
    out_ = {};
  }
  void carry(std::uint64_t n = 1, std::uint32_t epoch = carried) {
    receive(other_, mesh::Submit{open_request(n, epoch)});
  }
  void other_says(std::vector<mesh::OpenRequest> open) {
    receive(other_, mesh::AdmissionBeat{ServiceState::ready, std::move(open)});
  }
  // Of each Lost that was sent there: which epoch is the newer one.
  std::vector<mesh::RequestKey> told(const mesh::PeerId& to) {
    std::vector<mesh::RequestKey> keys;
    for (const mesh::Lost& lost : taken<mesh::Lost>(to)) {
      EXPECT_EQ(lost.reason, LostReason::superseded);
      keys.push_back(lost.key);
    }
    return keys;
  }
  using Keys = std::vector<mesh::RequestKey>;

  mesh::PeerId other_ = peer("admission-2");
};

TEST_F(CarriedTest, WhoHadItIsToldAtOnceAndAgainWithEachBeatThatHasIt) {
  carry();
  EXPECT_EQ(told(admission_), Keys{key(1, carried)});
  EXPECT_EQ(taken<mesh::Placed>(other_).size(), 1u);
  admission_says({open_at(1, e1_)});
  EXPECT_EQ(told(admission_), Keys{key(1, carried)});
  admission_says({});
  EXPECT_TRUE(told(admission_).empty());
  EXPECT_TRUE(told(other_).empty());
  EXPECT_TRUE(balanced());
}

TEST_F(CarriedTest, WhatHasEndedThereIsNotBegunAgainByWhoHadIt) {
  carry();
  receive(other_, mesh::Closed{{1, 1}, 100});
  out_ = {};
  submit(open_request(1, 2));
  admission_says({open_at(1, e1_)});
  EXPECT_EQ(told(admission_), (Keys{key(1, carried), key(1, carried)}));
  EXPECT_TRUE(taken<mesh::Placed>(admission_).empty());
  EXPECT_NE(scheduler_.audit_json(now_).find("\"known\":[]"), std::string::npos);
}

TEST_F(CarriedTest, WhoKeepsItForAClientIsToldToo) {
  receive(admission_, mesh::Closed{{1, 1}, 0});  // parked there
  carry();
  EXPECT_EQ(told(admission_), Keys{key(1, carried)});
}

TEST_F(CarriedTest, WhoComesBackIsToldWhatWasCarriedOnMeanwhile) {
  advance(100ms);
  carry();
  carry(2);
  receive(other_, mesh::Closed{{1, 2}, 100});
  receive(other_, mesh::Submit{open_request(3)});  // its own
  out_ = {};
  hello(ServiceKind::admission, peer("admission", 2));
  auto keys = told(peer("admission", 2));
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(keys, (Keys{key(1, carried), key(2, carried)}));
  hello(ServiceKind::admission, peer("admission-2", 2));
  EXPECT_TRUE(told(peer("admission-2", 2)).empty());
}

TEST_F(CarriedTest, WhoTakesItBackHasIt) {
  carry();
  out_ = {};
  submit(open_request(1, 512u << 16 | 1));
  EXPECT_EQ(told(other_), Keys{key(1, 512u << 16 | 1)});
  EXPECT_TRUE(told(admission_).empty());
  executor_says(e1_, {});
  EXPECT_EQ(placed(1, 512u << 16 | 1), "executor-1");
}

// A client asked twice, and both had the same words from it.
TEST_F(CarriedTest, OfTwoThatCarryTheSameTheLaterTakesANewEpoch) {
  carry();
  const mesh::PeerId third = peer("admission-3");
  hello(ServiceKind::admission, third);
  out_ = {};
  receive(third, mesh::Submit{open_request(1, carried)});
  EXPECT_EQ(told(third), Keys{key(1, carried)});
  EXPECT_TRUE(told(other_).empty());
  receive(third, mesh::Submit{open_request(1, carried + 1)});
  EXPECT_EQ(told(other_), Keys{key(1, carried + 1)});
}

TEST_F(CarriedTest, ATokenIsPaidForOnce) {
  const auto open = [](std::uint32_t tokens, std::uint32_t epoch) {
    mesh::OpenRequest one = open_request(1, epoch);
    one.generated_tokens = tokens;
    return one;
  };
  admission_says({open(50, 1)});
  const double before = scheduler_.charged();
  EXPECT_EQ(before, 32 * 0.25 + 50);
  advance(50ms);
  hello(ServiceKind::admission, peer("admission", 2));  // and what the first life had is closed
  carry();
  other_says({open(50, carried)});
  EXPECT_EQ(scheduler_.charged(), before);
  other_says({open(60, carried)});
  EXPECT_EQ(scheduler_.charged(), before + 10);
  receive(other_, mesh::Closed{{1, 1}, 70});
  EXPECT_EQ(scheduler_.charged(), before + 20);
}

TEST_F(CarriedTest, APromptIsPaidForEvenIfItIsPlacedElsewhereFirst) {
  for (std::uint64_t n = 2; n < 6; ++n) submit(open_request(n));  // executor-1 is full
  hello(ServiceKind::admission, peer("admission", 2));  // what waits is closed
  const double before = scheduler_.charged();
  carry(5);
  EXPECT_EQ(scheduler_.charged(), before + 32 * 0.25);
  EXPECT_EQ(taken<mesh::Placed>(other_).size(), 1u);
}

TEST_F(CarriedTest, APriceThatWasGivenBackIsPaidByWhoeverCarriesItOn) {
  submit(open_request(2));  // placed, but nobody says that it is computed
  const double before = scheduler_.charged();
  hello(ServiceKind::admission, peer("admission", 2));
  EXPECT_EQ(scheduler_.charged(), before - 32 * 0.25);
  carry(2);
  executor_says(e1_, {});
  EXPECT_EQ(scheduler_.charged(), before);
}

}  // namespace
}  // namespace aorta::scheduler
