// Starts, streams, leases, stops.
#include "tests/actors/executor/executor_harness.hpp"

namespace aorta::executor {
namespace {

using mesh::LostReason;

TEST_F(ExecutorTest, StreamsWhatTheEngineGenerates) {
  start(start_of(1));
  std::vector<TokenId> ids;
  for (int i = 0; i < 10; ++i) {
    step();
    const auto sent = tokens(1);
    EXPECT_EQ(sent.size(), 1u) << "a message per step";
    ids.insert(ids.end(), sent.begin(), sent.end());
  }
  EXPECT_EQ(ids.size(), 10u);
  EXPECT_EQ(finish_, mesh::Finish::length);
  ack(1, 10, true);
  EXPECT_NE(executor_->audit_json(now_).find("\"in_flight\":0"), std::string::npos);
  EXPECT_TRUE(balanced());
  EXPECT_TRUE(engine_empty());
}

TEST_F(ExecutorTest, OneMessageAStepAndAdmission) {
  receive("scheduler", membership({"admission", "admission-2"}));
  welcome("admission-2");
  start(start_of(1));
  start(start_of(2));
  receive("admission-2", start_of(3));
  step();
  const auto first = taken<mesh::Tokens>("admission");
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].runs.size(), 2u);
  EXPECT_EQ(first[0].numerics_id, stepper_->info().numerics_id);
  EXPECT_EQ(taken<mesh::Tokens>("admission-2").size(), 1u);
}

TEST_F(ExecutorTest, AnEpochGoesOnWhereTheLastOneEnded) {
  start(start_of(1));
  for (int i = 0; i < 10; ++i) step();
  const auto whole = tokens(1);
  ack(1, 10, true);
  start(start_of(1, 2, {whole.begin(), whole.begin() + 4}));
  for (int i = 0; i < 6; ++i) step();
  EXPECT_EQ(tokens(1, 2), std::vector<TokenId>(whole.begin() + 4, whole.end()));
  EXPECT_EQ(first_, TokenIndex{4});
  EXPECT_EQ(finish_, mesh::Finish::length);
}

TEST_F(ExecutorTest, AStartSaidTwiceIsOneRun) {
  start(start_of(1));
  start(start_of(1));
  EXPECT_EQ(executor_->take_engine_commands().size(), 1u);
  EXPECT_TRUE(taken<mesh::Declined>("admission").empty());
}

TEST_F(ExecutorTest, ANewerEpochReplacesAnOlderOne) {
  start(start_of(1));
  step();
  start(start_of(1, 2));
  step();
  EXPECT_EQ(stepper_->load().slots_used, 1u);
  EXPECT_EQ(tokens(1, 2).size(), 1u);
  start(start_of(1, 1));
  const auto declined = taken<mesh::Declined>("admission");
  ASSERT_EQ(declined.size(), 1u);
  EXPECT_EQ(declined[0].reason, LostReason::superseded);
  EXPECT_EQ(declined[0].key, key(1, 1));
}

TEST_F(ExecutorTest, NoSlotIsDeclined) {
  for (std::uint64_t n = 1; n <= 5; ++n) start(start_of(n));
  const auto declined = taken<mesh::Declined>("admission");
  ASSERT_EQ(declined.size(), 1u);
  EXPECT_EQ(declined[0].key, key(5));
  EXPECT_EQ(declined[0].reason, LostReason::refused);
  EXPECT_FALSE(declined[0].invalid);
}

TEST_F(ExecutorTest, WhatTheEngineRefusesForGoodIsInvalid) {
  mesh::Start bad = start_of(1);
  bad.prompt = {1, 1 << 20};
  start(bad);
  step();
  const auto declined = taken<mesh::Declined>("admission");
  ASSERT_EQ(declined.size(), 1u);
  EXPECT_TRUE(declined[0].invalid);
  EXPECT_FALSE(declined[0].sentence.empty());
  EXPECT_TRUE(balanced());
}

TEST_F(ExecutorTest, AGapIsFilledFromTheTail) {
  start(start_of(1));
  for (int i = 0; i < 4; ++i) step();
  const auto all = tokens(1);
  receive("admission", mesh::Expect{key(1), TokenIndex{2}});
  EXPECT_EQ(tokens(1), std::vector<TokenId>(all.begin() + 2, all.end()));
  EXPECT_EQ(first_, TokenIndex{2});
}

TEST_F(ExecutorTest, LogprobsTravelWithTheTokensThatAskedForThem) {
  mesh::Start with = start_of(1);
  with.logprobs = true;
  with.top_logprobs = 2;
  start(with);
  start(start_of(2));
  for (int i = 0; i < 3; ++i) step();
  std::vector<mesh::TokenLogprobs> sent;
  for (const mesh::Tokens& message : taken<mesh::Tokens>("admission")) {
    for (const mesh::TokenRun& run : message.runs) {
      EXPECT_EQ(run.logprobs.size(), run.key == key(1) ? run.ids.size() : 0);
      sent.insert(sent.end(), run.logprobs.begin(), run.logprobs.end());
    }
  }
  ASSERT_EQ(sent.size(), 3u);
  for (const auto& logprobs : sent) EXPECT_EQ(logprobs.top.size(), 2u);
  receive("admission", mesh::Expect{key(1), TokenIndex{1}});
  const auto again = taken<mesh::Tokens>("admission");
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].runs[0].logprobs, (std::vector{sent[1], sent[2]}));
}

TEST_F(ExecutorTest, MoreLogprobsThanThereAreIsInvalid) {
  mesh::Start bad = start_of(1);
  bad.logprobs = true;
  bad.top_logprobs = 21;
  start(bad);
  step();
  const auto declined = taken<mesh::Declined>("admission");
  ASSERT_EQ(declined.size(), 1u);
  EXPECT_TRUE(declined[0].invalid);
  EXPECT_NE(declined[0].sentence.find("at most 20"), std::string::npos);
  EXPECT_TRUE(balanced());
}

TEST_F(ExecutorTest, AnUnheardTailIsSentAgain) {
  start(start_of(1));
  for (int i = 0; i < 3; ++i) step();
  const auto all = tokens(1);
  ack(1, 1);
  advance(450ms);
  EXPECT_TRUE(tokens(1).empty());
  advance(150ms);
  EXPECT_EQ(tokens(1), std::vector<TokenId>(all.begin() + 1, all.end()));
  ack(1, 3);
  advance(1s);
  EXPECT_TRUE(tokens(1).empty()) << "nothing is owed";
}

TEST_F(ExecutorTest, AcksThatBringNothingNewDoNotPutOffSendingAgain) {
  start(start_of(1));
  for (int i = 0; i < 3; ++i) step();
  out_ = {};
  for (int i = 0; i < 7; ++i) {  // they renew the lease, or come for other streams
    ack(1, 1);
    advance(100ms);
  }
  EXPECT_EQ(tokens(1).size(), 2u);
}

TEST_F(ExecutorTest, AnUnheardFinishIsSentAgain) {
  start(start_of(1));
  for (int i = 0; i < 10; ++i) step();
  ack(1, 10);
  out_ = {};
  advance(600ms);
  const auto sent = taken<mesh::Tokens>("admission");
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent[0].runs[0].finish, mesh::Finish::length);
}

TEST_F(ExecutorTest, NothingIsSentAgainToAnotherLifeOfTheAdmission) {
  start(start_of(1));
  step();
  out_ = {};
  welcome("admission", 8);
  advance(1s);
  EXPECT_TRUE(taken<mesh::Tokens>("admission").empty());
}

TEST_F(ExecutorTest, ALeaseThatRunsOutEndsTheRun) {
  start(start_of(1));
  step();
  out_ = {};
  advance(1900ms);
  EXPECT_TRUE(taken<mesh::Declined>("admission").empty());
  advance(200ms);
  const auto declined = taken<mesh::Declined>("admission");
  ASSERT_EQ(declined.size(), 1u);
  EXPECT_EQ(declined[0].reason, LostReason::lease);
  out_ = {};
  step();
  EXPECT_TRUE(tokens(1).empty());
  EXPECT_TRUE(engine_empty());
  EXPECT_TRUE(balanced());
}

TEST_F(ExecutorTest, AcksRenewTheLease) {
  start(start_of(1));
  for (int i = 0; i < 10; ++i) {
    advance(1s);
    ack(1, 0);
  }
  EXPECT_TRUE(taken<mesh::Declined>("admission").empty());
}

TEST_F(ExecutorTest, ALeaseWithoutLengthIsShortNotEndless) {
  mesh::Start brief = start_of(1);
  brief.lease_ms = 0;
  start(brief);
  advance(100ms);
  EXPECT_TRUE(taken<mesh::Declined>("admission").empty());
  advance(300ms);
  EXPECT_EQ(taken<mesh::Declined>("admission").size(), 1u);
}

TEST_F(ExecutorTest, AnAckOfWhatIsNotHereIsAnswered) {
  ack(9, 3);
  const auto declined = taken<mesh::Declined>("admission");
  ASSERT_EQ(declined.size(), 1u);
  EXPECT_EQ(declined[0].reason, LostReason::unclaimed);
  ack(9, 3, true);
  EXPECT_TRUE(taken<mesh::Declined>("admission").empty()) << "that one is only late";
  start(start_of(1, 2));
  ack(1, 0);
  EXPECT_TRUE(taken<mesh::Declined>("admission").empty()) << "so is this one";
  ack(1, 0, false, 3);
  EXPECT_EQ(taken<mesh::Declined>("admission").size(), 1u) << "its Start was dropped";
}

TEST_F(ExecutorTest, StopForgetsAtOnce) {
  start(start_of(1));
  step();
  receive("admission", mesh::Stop{key(1)});
  step();
  EXPECT_TRUE(engine_empty());
  EXPECT_EQ(last_beat().running.size(), 0u);
  EXPECT_TRUE(balanced());
}

TEST_F(ExecutorTest, StopOfAnotherEpochChangesNothing) {
  start(start_of(1, 2));
  receive("scheduler", mesh::Stop{key(1, 1)});
  step();
  EXPECT_EQ(tokens(1, 2).size(), 1u);
}

TEST_F(ExecutorTest, TokensOfAStoppedRunFindNobody) {
  start(start_of(1));
  step();
  out_ = {};
  // The engine finishes its step before it takes the stop.
  receive("admission", mesh::Stop{key(1)});
  executor_->on_engine(stepper_->step(), stepper_->load(), ++turns_, 10ms, now_, out_);
  EXPECT_TRUE(taken<mesh::Tokens>("admission").empty());
  // Started again at its beginning, a token further on from its earlier run is not its next.
  start(start_of(1));
  executor_->on_engine(stepper_->step(), stepper_->load(), ++turns_, 10ms, now_, out_);
  EXPECT_TRUE(taken<mesh::Tokens>("admission").empty());
}

TEST_F(ExecutorTest, NothingOfARequestStays) {
  for (std::uint64_t n = 1; n <= 200; ++n) {
    start(start_of(n));
    for (int i = 0; i < 10; ++i) step();
    if (n % 3 == 0) {
      receive("admission", mesh::Stop{key(n)});
    } else {
      ack(n, 10, true);
    }
    advance(100ms);
    out_ = {};
  }
  step();
  const std::string audit = executor_->audit_json(now_);
  EXPECT_NE(audit.find("\"in_flight\":0"), std::string::npos) << audit;
  EXPECT_NE(audit.find("\"unacked_tokens\":0"), std::string::npos) << audit;
  EXPECT_TRUE(engine_empty());
}

}  // namespace
}  // namespace aorta::executor
