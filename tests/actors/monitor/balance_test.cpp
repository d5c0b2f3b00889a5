// The audit's sum: what balances, and what each imbalance is called.
#include "actors/monitor/balance.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace aorta::monitor {
namespace {

using nlohmann::json;

std::map<std::string, json> balanced() {
  return {
      {"admission", json::parse(R"({"service":"admission","balanced":true,"problems":[],
         "accepted":7,"rejected":{"queue_full":2},"ended":{"stop":3,"cancelled":1},
         "open":{"queued":1,"placed":2,"parked":0},"held":0,
         "requests":[
           {"id":"0000000000000000000000000000000a","state":"placed","epoch":1,
            "epochs":[{"epoch":1,"executor":"executor-1"}]},
           {"id":"0000000000000000000000000000000b","state":"placed","epoch":2,
            "epochs":[{"epoch":1,"executor":"executor-2"},{"epoch":2,"executor":"executor-1"}]},
           {"id":"0000000000000000000000000000000c","state":"queued","epoch":1},
           {"id":"0000000000000000000000000000000d","state":"stop","epoch":1}]})")},
      {"scheduler", json::parse(R"({"service":"scheduler","balanced":true,"queued":1,"placed":2,
         "lost":0,"known":[
           {"request":"0000000000000000000000000000000a","epoch":1,"executor":"executor-1"},
           {"request":"0000000000000000000000000000000b","epoch":2,"executor":"executor-1"},
           {"request":"0000000000000000000000000000000c","epoch":1,"executor":""}]})")},
      {"executor-1", json::parse(R"({"service":"executor","balanced":true,"slots_used":2,
         "in_flight":2,"blocks_used":5,"unacked_tokens":1,
         "engine_slots_used":2,
         "runs":[{"request":"0000000000000000000000000000000a","epoch":1},
                 {"request":"0000000000000000000000000000000b","epoch":2}]})")},
      {"executor-2", json::parse(R"({"service":"executor","balanced":true,"slots_used":0,
         "in_flight":0,"blocks_used":0,"unacked_tokens":0,"runs":[]})")},
      {"cache", json::parse(R"({"service":"cache","balanced":true})")},
  };
}

TEST(Balance, AddsUpFigures) {
  const Balance balance = check_balance(balanced(), {});
  EXPECT_TRUE(balance.problems.empty()) << balance.problems.front();
  EXPECT_EQ(balance.figures.at("accepted"), 7);
  EXPECT_EQ(balance.figures.at("rejected"), 2);
  EXPECT_EQ(balance.figures.at("ended"), 4);
  EXPECT_EQ(balance.figures.at("open"), 3);
  EXPECT_EQ(balance.figures.at("running"), 2);
  EXPECT_EQ(balance.figures.at("blocks_used"), 5);
  EXPECT_EQ(balance.figures.at("executors"), 2);
}

TEST(Balance, CountsWhatAnEarlierLifeHadAccepted) {
  auto replies = balanced();
  replies["admission"]["accepted"] = 5;
  replies["admission"]["recovered"] = 2;
  EXPECT_TRUE(check_balance(replies, {}).problems.empty());
}

// One change to what balances, and the sentence it must bring.
struct Imbalance {
  std::string name, service, pointer;
  json value;
  std::string sentence;
};
class BalanceProblem : public ::testing::TestWithParam<Imbalance> {};

TEST_P(BalanceProblem, IsNamed) {
  auto replies = balanced();
  replies[GetParam().service][json::json_pointer(GetParam().pointer)] = GetParam().value;
  const Balance balance = check_balance(replies, {});
  ASSERT_FALSE(balance.problems.empty());
  EXPECT_EQ(balance.problems[0], GetParam().sentence);
}

INSTANTIATE_TEST_SUITE_P(
    All, BalanceProblem,
    ::testing::Values(Imbalance{"accepted", "admission", "/accepted", 8,
                                "8 requests accepted by admissions, but 7 ended or open there"},
                      Imbalance{"slot", "executor-2", "/slots_used", 1,
                                "3 requests running on executors, but 2 placed by admissions"},
                      Imbalance{"scheduler", "scheduler", "/placed", 1,
                                "1 requests placed by the scheduler, but 2 placed by admissions"},
                      Imbalance{"queue", "scheduler", "/queued", 0,
                                "0 requests queued at the scheduler, but 1 queued by admissions"},
                      Imbalance{"blocks", "executor-2", "/blocks_used", 3,
                                "executor-2 is idle, but 3 KV blocks are in use"},
                      Imbalance{"tail", "executor-2", "/runs",
                                json::parse(R"([{"request":"0000000000000000000000000000000d",
                                                 "epoch":1}])"),
                                "executor-2 still holds request 0000000000000000000000000000000d, "
                                "which has ended"},
                      Imbalance{"stray", "executor-1", "/runs/1/epoch", 1,
                                "executor-1 runs epoch 1 of request "
                                "0000000000000000000000000000000b, whose epoch 2 is placed on "
                                "executor-1"},
                      Imbalance{"reserved", "scheduler", "/known/0/executor", "executor-2",
                                "the scheduler has request 0000000000000000000000000000000a on "
                                "'executor-2', its admission on 'executor-1'"},
                      Imbalance{"engine", "executor-1", "/engine_slots_used", 1,
                                "executor-1 runs 2 requests, but its engine holds 1"},
                      Imbalance{"booked", "scheduler", "/executors",
                                json::parse(R"([{"name":"executor-1","slots_used":2},
                                                {"name":"executor-2","slots_used":1}])"),
                                "executor-2 has nothing to do, but 1 of its slots are not free"},
                      Imbalance{"own", "cache", "/balanced", false,
                                "cache does not balance: its own counts differ"}),
    [](const auto& info) { return info.param.name; });

TEST(Balance, SilentMembersAndNonsenseAreProblems) {
  auto replies = balanced();
  replies["cache"] = json("nonsense");
  const Balance balance = check_balance(replies, {"executor-3"});
  EXPECT_EQ(balance.problems, (std::vector<std::string>{"cache answered what is not an audit",
                                                        "executor-3 did not answer"}));
}

}  // namespace
}  // namespace aorta::monitor
