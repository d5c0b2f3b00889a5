// Every state that must survive a cut: a short answer is asked for in each way that has a state of
// its own, and its executor dies at each of its tokens. The client compares what it gets with the
// undisturbed answer.
#include <gtest/gtest.h>

#include <functional>

#include "tests/sim/world.hpp"

namespace aorta::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::uint32_t answer_tokens = 24;

ClientPlan plain() {
  ClientPlan plan;
  admission::GenerateRequest& request = plan.request;
  for (TokenId id = 0; id < 40; ++id) request.prompt_ids.push_back(32 + id);
  request.max_tokens = answer_tokens;
  request.ignore_eos = true;
  request.sampling.seed = 4711;
  request.seed_given = true;
  request.sampling.temperature = 0.9f;
  return plan;
}

struct Variant {
  const char* name;
  std::function<void(admission::GenerateRequest&)> change;
};

std::vector<Variant> variants() {
  using Request = admission::GenerateRequest;
  return {
      {"SeedGiven", [](Request&) {}},
      {"SeedDrawn",
       [](Request& r) { r.seed_given = false, r.sampling.seed = 0x1234567890abcdef; }},
      {"Greedy", [](Request& r) { r.sampling.temperature = 0; }},
      {"TopKTopP", [](Request& r) { r.sampling.top_k = 7, r.sampling.top_p = 0.8f; }},
      {"MinP", [](Request& r) { r.sampling.min_p = 0.05f; }},
      {"Penalties",
       [](Request& r) {
         r.sampling.presence_penalty = 0.5f;
         r.sampling.frequency_penalty = 0.25f;
         r.sampling.repetition_penalty = 1.1f;
       }},
      {"LogitBias", [](Request& r) { r.sampling.logit_bias = {{'x', 30.0f}, {'y', 30.0f}}; }},
      {"MinTokens",
       [](Request& r) { r.ignore_eos = false, r.min_tokens = 20, r.stop_ids = {'e', 't', ' '}; }},
      {"StopId", [](Request& r) { r.ignore_eos = false, r.stop_ids = {'q', 'Q', '7'}; }},
      // Half of the stop string comes before the cut: each token is one of its bytes, or not.
      {"StopStrings",
       [](Request& r) {
         r.sampling.logit_bias = {{'a', 60.0f}, {'b', 30.0f}};
         r.stop = {"aaaaab", "bbb", "abababab"};
       }},
      // é is two bytes, and so two tokens: a cut falls between them.
      {"Utf8", [](Request& r) { r.sampling.logit_bias = {{0xc3, 45.0f}, {0xa9, 45.0f}}; }},
      {"Reasoning",
       [](Request& r) {
         r.messages = {{"user", "Why should a server keep answering?"}};
         r.prompt_ids.clear();
         r.max_tokens = 40;  // its thinking ends at the 28th
       }},
      {"Logprobs", [](Request& r) { r.top_logprobs = 3; }},
      {"Choices", [](Request& r) { r.choices = 3; }},
      {"UrgentStrict",
       [](Request& r) {
         r.tier = mesh::Tier::urgent;
         r.determinism = mesh::Determinism::strict;
       }},
  };
}

WorldOptions calm() {
  WorldOptions options;
  options.faults = options.faults.scaled(0);
  options.faults_for = {};
  options.lucky = 0;
  return options;
}

void expect_unharmed(std::uint64_t seed, const WorldOptions& options, const std::string& what) {
  World world(seed, options);
  world.run();
  EXPECT_EQ(world.violation(), "") << what;
  for (const auto& [outcome, count] : world.tally().outcomes) {
    EXPECT_TRUE(outcome == "stop" || outcome == "length") << what << ": " << outcome;
  }
}

// At even tokens the message has not left, at odd ones it is on its way or has arrived.
Cut cut_at(std::uint32_t token, Cut::What what = Cut::What::kill) {
  return {what, token, token % 2 == 0 ? microseconds(0) : microseconds(200 + 40 * token)};
}

class EveryToken : public ::testing::TestWithParam<Variant> {
 protected:
  // The answer once for each token, with `cuts(token)`.
  template <class Cuts>
  void expect_unharmed_by(Cuts cuts) {
    WorldOptions options = calm();
    options.script.clients = {plain()};
    GetParam().change(options.script.clients.front().request);
    for (std::uint32_t token = 0; token < answer_tokens; ++token) {
      options.script.cuts = cuts(token);
      expect_unharmed(token, options, "cut from " + std::to_string(token));
    }
  }
};

TEST_P(EveryToken, OneDeath) {
  expect_unharmed_by([](std::uint32_t token) { return std::vector{cut_at(token)}; });
}

TEST_P(EveryToken, ThreeDeathsInARow) {
  expect_unharmed_by([](std::uint32_t token) {
    return std::vector{cut_at(token), cut_at(token + 1), cut_at(token + 2)};
  });
}

TEST_P(EveryToken, DeathDuringDrain) {
  expect_unharmed_by([](std::uint32_t token) {
    return std::vector{cut_at(token, Cut::What::drain), cut_at(token + 2)};
  });
}

INSTANTIATE_TEST_SUITE_P(Cut, EveryToken, ::testing::ValuesIn(variants()),
                         [](const auto& info) { return info.param.name; });

// The pool holds one and a half of these answers: the younger ones are sent back and computed again.
TEST(Cut, PreemptionThenDeath) {
  for (std::uint32_t token = 0; token < answer_tokens; ++token) {
    WorldOptions options = calm();
    options.managed_executors = 0;
    options.free_executors = 2;
    options.blocks = 12;
    for (int i = 0; i < 8; ++i) {
      ClientPlan plan = plain();
      plan.request.sampling.seed += static_cast<std::uint64_t>(i);
      plan.request.max_tokens = 60;
      options.script.clients.push_back(plan);
    }
    options.script.cuts = {cut_at(token)};
    expect_unharmed(token, options, "cut at " + std::to_string(token));
  }
}

// 400 tokens of prompt take 13 steps.
TEST(Cut, ChunkedPrefillInProgress) {
  for (int step = 0; step < 16; ++step) {
    WorldOptions options = calm();
    ClientPlan plan = plain();
    for (TokenId id = 0; id < 360; ++id) plan.request.prompt_ids.push_back(32 + id % 90);
    options.script.clients = {plan};
    options.script.kill_after = milliseconds(2 + step * 8);
    expect_unharmed(static_cast<std::uint64_t>(step), options, "step " + std::to_string(step));
  }
}

}  // namespace
}  // namespace aorta::sim
