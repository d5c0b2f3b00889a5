// Two ends of a token stream over a link that loses, repeats and reorders.
#include "mesh/link.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace aorta::mesh {
namespace {

const RequestKey key{{1, 2}, Epoch{1}};

TEST(TokenSender, SendsEachIdOnceAndTheFinishWithTheLast) {
  TokenSender sender(key, TokenIndex{5});
  EXPECT_FALSE(sender.take_unsent());
  sender.append(70, Finish::none);
  sender.append(71, Finish::none);
  auto run = sender.take_unsent();
  ASSERT_TRUE(run);
  EXPECT_EQ(run->first, TokenIndex{5});
  EXPECT_EQ(run->ids, (std::vector<TokenId>{70, 71}));
  EXPECT_FALSE(sender.take_unsent());
  sender.append(72, Finish::stop);
  run = sender.take_unsent();
  ASSERT_TRUE(run);
  EXPECT_EQ(run->first, TokenIndex{7});
  EXPECT_EQ(run->finish, Finish::stop);
  EXPECT_FALSE(sender.take_unsent());
  EXPECT_EQ(sender.unacknowledged(), 3u);
}

TEST(TokenSender, AnAckOfSomeSendsNothingAgain) {
  TokenSender sender(key, TokenIndex{0});
  for (TokenId id = 0; id < 5; ++id) sender.append(id, Finish::none);
  sender.take_unsent();
  sender.acknowledge({key, TokenIndex{2}, false});
  EXPECT_EQ(sender.unacknowledged(), 3u);
  EXPECT_FALSE(sender.take_unsent());
}

TEST(TokenSender, AcknowledgedIdsAreForgottenButTheFinishOnlyByComplete) {
  TokenSender sender(key, TokenIndex{0});
  for (TokenId id = 0; id < 3; ++id) sender.append(id, Finish::none);
  sender.append(3, Finish::length);
  sender.take_unsent();
  sender.acknowledge({key, TokenIndex{4}, false});
  EXPECT_EQ(sender.unacknowledged(), 0u);
  EXPECT_FALSE(sender.complete());
  sender.rewind_all();
  auto run = sender.take_unsent();
  ASSERT_TRUE(run) << "the finish alone must be sent again";
  EXPECT_TRUE(run->ids.empty());
  EXPECT_EQ(run->finish, Finish::length);
  sender.acknowledge({key, TokenIndex{4}, true});
  EXPECT_TRUE(sender.complete());
  EXPECT_FALSE(sender.take_unsent());
}

TEST(TokenSender, IgnoresAcksAndRewindsThatCannotBe) {
  TokenSender sender(key, TokenIndex{10});
  sender.append(1, Finish::none);
  sender.append(2, Finish::none);
  sender.take_unsent();
  sender.acknowledge({key, TokenIndex{13}, false});                      // beyond what exists
  sender.acknowledge({{key.request, Epoch{2}}, TokenIndex{11}, false});  // another epoch's
  sender.acknowledge({key, TokenIndex{12}, true});                       // not finished
  EXPECT_FALSE(sender.complete());
  EXPECT_EQ(sender.unacknowledged(), 0u);
  sender.rewind(TokenIndex{10});  // already acknowledged
  sender.rewind(TokenIndex{14});  // not generated
  EXPECT_FALSE(sender.take_unsent());
}

TEST(TokenSender, AnAckAfterARewindSkipsWhatArrivedMeanwhile) {
  TokenSender sender(key, TokenIndex{0});
  for (TokenId id = 0; id < 6; ++id) sender.append(id, Finish::none);
  sender.take_unsent();
  sender.rewind(TokenIndex{2});
  sender.acknowledge({key, TokenIndex{4}, false});
  auto run = sender.take_unsent();
  ASSERT_TRUE(run);
  EXPECT_EQ(run->first, TokenIndex{4});
  EXPECT_EQ(run->ids, (std::vector<TokenId>{4, 5}));
}

TEST(TokenReceiver, TakesOverlapsOnceAndReportsGapsAndOtherEpochs) {
  TokenReceiver receiver(key, TokenIndex{3});
  auto accepted = receiver.accept({key, TokenIndex{1}, {91, 92, 93, 94}, Finish::none});
  EXPECT_EQ(accepted.ids, (std::vector<TokenId>{93, 94}));
  accepted = receiver.accept({key, TokenIndex{6}, {96}, Finish::stop});
  EXPECT_TRUE(accepted.gap);
  EXPECT_EQ(accepted.finish, Finish::none) << "a finish beyond a gap is not reached";
  EXPECT_FALSE(receiver.complete());
  accepted = receiver.accept({{key.request, Epoch{2}}, TokenIndex{5}, {95}, Finish::none});
  EXPECT_TRUE(accepted.stale);
  accepted = receiver.accept({key, TokenIndex{5}, {95, 96}, Finish::stop});
  EXPECT_EQ(accepted.ids, (std::vector<TokenId>{95, 96}));
  EXPECT_EQ(accepted.finish, Finish::stop);
  EXPECT_TRUE(receiver.ack().complete);
  accepted = receiver.accept({key, TokenIndex{7}, {97}, Finish::none});
  EXPECT_TRUE(accepted.ids.empty()) << "nothing follows the finish";
  EXPECT_EQ(receiver.next(), TokenIndex{7});
}

TEST(TokenReceiver, AnIndexNearTheLimitDoesNotWrap) {
  TokenReceiver receiver(key, TokenIndex{1});
  auto accepted = receiver.accept({key, TokenIndex{0xffffffffu}, {1, 2, 3}, Finish::none});
  EXPECT_TRUE(accepted.gap);
  EXPECT_EQ(receiver.next(), TokenIndex{1});
}

TokenLogprobs logprobs_of(TokenId id) {
  return {-0.5f * static_cast<float>(id), {{id, -0.25f}, {id + 1, -1.0f}}};
}

TEST(TokenSender, LogprobsAreKeptAndSentAgainWithTheirIds) {
  TokenSender sender(key, TokenIndex{3});
  for (TokenId id = 0; id < 5; ++id) sender.append(id, Finish::none, logprobs_of(id));
  auto run = sender.take_unsent();
  ASSERT_TRUE(run);
  ASSERT_EQ(run->logprobs.size(), 5u);
  EXPECT_EQ(run->logprobs[4], logprobs_of(4));
  sender.acknowledge({key, TokenIndex{5}, false});
  sender.append(5, Finish::length, logprobs_of(5));
  run = sender.take_unsent();
  ASSERT_TRUE(run);
  EXPECT_EQ(run->logprobs, std::vector{logprobs_of(5)});
  sender.rewind(TokenIndex{6});
  run = sender.take_unsent();
  ASSERT_TRUE(run);
  EXPECT_EQ(run->ids, (std::vector<TokenId>{3, 4, 5}));
  EXPECT_EQ(run->logprobs, (std::vector{logprobs_of(3), logprobs_of(4), logprobs_of(5)}));
  sender.acknowledge({key, TokenIndex{9}, false});
  sender.rewind_all();
  run = sender.take_unsent();
  ASSERT_TRUE(run);
  EXPECT_TRUE(run->logprobs.empty()) << "a finish alone has none";
}

TEST(TokenReceiver, LogprobsStayWithTheIdsThatAreNew) {
  TokenReceiver receiver(key, TokenIndex{2});
  TokenRun run{.key = key, .first = TokenIndex{0}, .ids = {0, 1, 2, 3}};
  for (const TokenId id : run.ids) run.logprobs.push_back(logprobs_of(id));
  const auto accepted = receiver.accept(run);
  EXPECT_EQ(accepted.ids, (std::vector<TokenId>{2, 3}));
  EXPECT_EQ(accepted.logprobs, (std::vector{logprobs_of(2), logprobs_of(3)}));
  EXPECT_TRUE(receiver.accept(run).logprobs.empty()) << "all of it is known";
}

TEST(TokenReceiver, LogprobsOfSomeIdsOnlyAreGarbage) {
  TokenReceiver receiver(key, TokenIndex{0});
  TokenRun run{.key = key, .ids = {0, 1}, .finish = Finish::stop, .logprobs = {logprobs_of(0)}};
  for (const std::size_t size : {1u, 3u}) {
    run.logprobs.resize(size);
    const auto accepted = receiver.accept(run);
    EXPECT_TRUE(accepted.malformed);
    EXPECT_TRUE(accepted.ids.empty() && accepted.logprobs.empty());
    EXPECT_EQ(accepted.finish, Finish::none);
  }
  EXPECT_EQ(receiver.next(), TokenIndex{0});
  EXPECT_FALSE(receiver.complete());
  run.logprobs.clear();
  EXPECT_EQ(receiver.accept(run).ids.size(), 2u);
}

// Whatever is lost or repeated on the way, the receiver ends with the ids in order, each once, and
// every other stream's log-probabilities beside them.
TEST(Link, SurvivesLossRepetitionAndReordering) {
  for (std::uint32_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    auto chance = [&](unsigned percent) { return random() % 100 < percent; };
    const std::uint32_t first = random() % 50, count = 1 + random() % 60;
    TokenSender sender(key, TokenIndex{first});
    TokenReceiver receiver(key, TokenIndex{first});
    std::deque<TokenRun> runs;
    std::vector<TokenId> ledger;
    std::uint32_t generated = 0;
    for (int turn = 0; turn < 2000 && !sender.complete(); ++turn) {
      if (generated < count && chance(60)) {
        ++generated;
        const auto id = static_cast<TokenId>(generated);
        const Finish finish = generated == count ? Finish::stop : Finish::none;
        if (seed % 2 == 0) {
          sender.append(id, finish);
        } else {
          sender.append(id, finish, logprobs_of(id));
        }
      }
      if (chance(10)) sender.rewind_all();
      if (auto run = sender.take_unsent(); run && !chance(20)) {
        runs.push_back(*run);
        if (chance(20)) runs.push_back(*run);
        if (chance(20)) std::swap(runs.front(), runs.back());
      }
      if (runs.empty() || chance(30)) continue;
      auto accepted = receiver.accept(runs.front());
      runs.pop_front();
      ledger.insert(ledger.end(), accepted.ids.begin(), accepted.ids.end());
      ASSERT_EQ(accepted.logprobs.size(), seed % 2 == 0 ? 0 : accepted.ids.size());
      for (std::size_t i = 0; i < accepted.logprobs.size(); ++i) {
        ASSERT_EQ(accepted.logprobs[i], logprobs_of(accepted.ids[i]));
      }
      if (accepted.gap && !chance(20)) sender.rewind(receiver.next());
      if (!chance(20)) sender.acknowledge(receiver.ack());
    }
    EXPECT_TRUE(sender.complete());
    EXPECT_EQ(sender.unacknowledged(), 0u);
    ASSERT_EQ(ledger.size(), count);
    for (std::uint32_t i = 0; i < count; ++i) ASSERT_EQ(ledger[i], static_cast<TokenId>(i + 1));
  }
}

}  // namespace
}  // namespace aorta::mesh
