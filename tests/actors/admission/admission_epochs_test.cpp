// The lives of a request on executors, in the orders that hurt.
#include "tests/actors/admission/harness.hpp"

namespace aorta::admission {
namespace {

using mesh::Finish;
using mesh::LostReason;

const mesh::PeerId e1 = executor(1), e2 = executor(2);

TEST(AdmissionEpochs, StartCarriesEverything) {
  Harness h;
  h.join(e1);
  auto ask = h.ask(1);
  ask.max_tokens = 50;
  ask.min_tokens = 2;
  ask.sampling.temperature = 0.5f;
  h.generate(1, ask);
  h.place(1, e1);
  const auto starts = h.sent<mesh::Start>();
  ASSERT_EQ(starts.size(), 1u);
  const auto& [to, start] = starts[0];
  EXPECT_EQ(to, e1);
  EXPECT_EQ(start.key, key(1));
  EXPECT_EQ(start.prompt, ids_of("abc"));
  EXPECT_TRUE(start.generated.empty());
  EXPECT_EQ(start.max_tokens, 50u);
  EXPECT_EQ(start.min_tokens, 2u);
  EXPECT_EQ(start.stop_ids, std::vector<TokenId>{stop_id});
  EXPECT_EQ(start.sampling.seed, 7u);
  EXPECT_EQ(start.sampling.temperature, 0.5f);
  EXPECT_EQ(start.lease_ms, 5000u);
}

TEST(AdmissionEpochs, IgnoringTheEndOfAnswerSendsNoStopIds) {
  Harness h;
  h.join(e1);
  auto ask = h.ask(1);
  ask.ignore_eos = true;
  h.generate(1, ask);
  h.place(1, e1);
  EXPECT_TRUE(h.last<mesh::Start>().stop_ids.empty());
}

TEST(AdmissionEpochs, ALostEpochGoesOnWhereTheLedgerEnds) {
  Harness h;
  h.join(e1);
  h.join(e2);
  h.run(1, e1);
  h.tokens(e1, key(1), 0, "hel");
  h.advance(500);
  h.lose(1, 1);
  const auto open = h.last<mesh::Submit>().open;
  EXPECT_EQ(open.key, key(1, 2));
  EXPECT_EQ(open.generated_tokens, 3u);
  EXPECT_GE(open.waited_ms, 500u);
  EXPECT_EQ(open.numerics_id, "n");
  EXPECT_TRUE(open.executor.name.empty());
  h.place(1, e2, 2);
  EXPECT_EQ(h.last<mesh::Start>().generated, ids_of("hel"));
  h.tokens(e2, key(1, 2), 3, "lo", Finish::stop);
  EXPECT_EQ(h.text(1), "hello");
  EXPECT_EQ(h.events<Done>(1).at(0).epochs, 2u);
  EXPECT_TRUE(h.balanced());
}

TEST(AdmissionEpochs, TokensAfterLostAreStoppedAndChangeNothing) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.tokens(e1, key(1), 0, "hel");
  h.lose(1, 1);
  h.clear();
  h.tokens(e1, key(1), 3, "XX", Finish::stop);
  h.collect();
  EXPECT_TRUE(h.told.empty());
  EXPECT_EQ(h.last<mesh::Stop>().key, key(1));
  EXPECT_EQ(h.sent<mesh::Stop>()[0].first, e1);
}

TEST(AdmissionEpochs, LostTwiceMovesOnce) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.lose(1, 1);
  h.lose(1, 1);
  EXPECT_EQ(h.last<mesh::Submit>().open.key, key(1, 2));
  EXPECT_EQ(h.sent<mesh::Submit>().size(), 2u);
}

TEST(AdmissionEpochs, LostReachesARequestWhosePlacedWasLost) {
  Harness h;
  h.generate(1, h.ask(1));
  h.lose(1, 1);
  EXPECT_EQ(h.last<mesh::Submit>().open.key, key(1, 2));
}

TEST(AdmissionEpochs, PlacedTwiceStartsOnce) {
  Harness h;
  h.join(e1);
  h.join(e2);
  h.run(1, e1);
  h.place(1, e1);
  EXPECT_EQ(h.sent<mesh::Start>().size(), 1u);
  h.place(1, e2);  // the first stays
  EXPECT_EQ(h.sent<mesh::Start>().size(), 1u);
  ASSERT_EQ(h.sent<mesh::Stop>().size(), 1u);
  EXPECT_EQ(h.sent<mesh::Stop>()[0].first, e2);
  h.advance(200);
  EXPECT_EQ(h.last<mesh::AdmissionBeat>().open.at(0).executor, e1);
}

TEST(AdmissionEpochs, ALatePlacedIsStoppedAndNeverStarted) {
  Harness h;
  h.join(e1);
  h.generate(1, h.ask(1));
  h.lose(1, 1);
  h.place(1, e1, 1);  // of the old epoch
  EXPECT_TRUE(h.sent<mesh::Start>().empty());
  EXPECT_EQ(h.last<mesh::Stop>().key, key(1, 1));
  h.cancel(1, 1);
  h.clear();
  h.place(1, e1, 2);   // of an ended request
  h.place(77, e1, 1);  // of one never known
  EXPECT_TRUE(h.sent<mesh::Start>().empty());
  EXPECT_EQ(h.sent<mesh::Closed>().size(), 2u);
  EXPECT_EQ(h.sent<mesh::Stop>().size(), 2u);
}

TEST(AdmissionEpochs, AcksAreCoalescedAndNameAllThatIsHeld) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.run(2, e1);
  h.advance(100);
  h.clear();
  h.tokens(e1, key(1), 0, "a");  // the first after silence goes at once
  ASSERT_EQ(h.sent<mesh::Ack>().size(), 1u);
  for (std::uint32_t i = 1; i <= 10; ++i) {
    h.tokens(e1, key(1), i, "b");
    h.advance(1);
  }
  EXPECT_EQ(h.sent<mesh::Ack>().size(), 1u);
  h.advance(10);
  ASSERT_EQ(h.sent<mesh::Ack>().size(), 2u);
  const auto ack = h.last<mesh::Ack>();
  ASSERT_EQ(ack.items.size(), 2u);
  EXPECT_EQ(ack.items[0].key, key(1));
  EXPECT_EQ(ack.items[0].next, TokenIndex{11});
  EXPECT_EQ(ack.items[1].next, TokenIndex{0});
}

TEST(AdmissionEpochs, AcksRenewLeasesInSilence) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.clear();
  h.advance(5000);  // one lease
  EXPECT_EQ(h.sent<mesh::Ack>().size(), 4u);
}

TEST(AdmissionEpochs, TheEndIsAcknowledgedOnce) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.tokens(e1, key(1), 0, "ab", Finish::stop);
  h.advance(100);
  const auto acks = h.sent<mesh::Ack>();
  ASSERT_EQ(acks.size(), 1u);
  EXPECT_TRUE(acks[0].second.items.at(0).complete);
  EXPECT_EQ(acks[0].second.items[0].next, TokenIndex{3});
  h.tokens(e1, key(1), 0, "ab", Finish::stop);  // that ack was lost
  EXPECT_EQ(h.last<mesh::Stop>().key, key(1));
  EXPECT_EQ(h.ending(1), "stop");
}

TEST(AdmissionEpochs, AGapIsAskedForAndKnownTokensAreDropped) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.tokens(e1, key(1), 0, "ab");
  h.tokens(e1, key(1), 4, "ef");
  h.tokens(e1, key(1), 6, "gh");  // still the same gap
  ASSERT_EQ(h.sent<mesh::Expect>().size(), 1u);
  EXPECT_EQ(h.last<mesh::Expect>().next, TokenIndex{2});
  h.tokens(e1, key(1), 0, "abcdef");
  EXPECT_EQ(h.text(1), "abcdef");
  std::uint32_t next = 0;
  for (const auto& delta : h.events<Delta>(1)) {
    EXPECT_EQ(delta.first.value, next);
    next += static_cast<std::uint32_t>(delta.ids.size());
  }
  EXPECT_EQ(next, 6u);
}

TEST(AdmissionEpochs, AStopStringEndsItAndStopsTheExecutor) {
  Harness h;
  h.join(e1);
  auto ask = h.ask(1);
  ask.stop = {"END"};
  h.generate(1, ask);
  h.place(1, e1);
  h.tokens(e1, key(1), 0, "abcE");
  EXPECT_EQ(h.text(1), "abc");
  h.tokens(e1, key(1), 4, "NDxx");
  EXPECT_EQ(h.text(1), "abc");
  EXPECT_EQ(h.ending(1), "stop");
  EXPECT_EQ(h.last<mesh::Stop>().key, key(1));
  EXPECT_EQ(h.last<mesh::Closed>().request, request_id(1));
  EXPECT_EQ(h.events<Done>(1)[0].usage.completion_tokens, 6u);
}

TEST(AdmissionEpochs, ADeclinedEpochMovesOrFails) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.core.receive(e1, mesh::Declined{key(1), LostReason::draining}, h.now, h.out);
  EXPECT_EQ(h.last<mesh::Submit>().open.key, key(1, 2));
  EXPECT_TRUE(h.sent<mesh::Stop>().empty());  // it has forgotten the epoch itself
  h.core.receive(e1, mesh::Declined{key(1), LostReason::draining}, h.now, h.out);  // again
  EXPECT_EQ(h.sent<mesh::Submit>().size(), 2u);
  h.place(1, e1, 2);
  h.core.receive(e1, mesh::Declined{key(1, 2), LostReason::refused, "too long", true}, h.now,
                 h.out);
  EXPECT_EQ(h.ending(1), "invalid_request");
  EXPECT_EQ(h.events<Failed>(1)[0].message, "too long");
  EXPECT_TRUE(h.balanced());
}

TEST(AdmissionEpochs, ARefusedEpochWaitsForTheNextBeat) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.clear();
  h.core.receive(e1, mesh::Declined{key(1), LostReason::refused}, h.now, h.out);
  EXPECT_TRUE(h.sent<mesh::Submit>().empty());
  h.advance(100);
  EXPECT_EQ(h.last<mesh::AdmissionBeat>().open.at(0).key, key(1, 2));
}

TEST(AdmissionEpochs, AnExecutorStartsWhenItHasDialled) {
  Harness h;
  h.run(1, e1);
  EXPECT_TRUE(h.sent<mesh::Start>().empty());
  h.advance(500);
  h.join(e1);
  EXPECT_EQ(h.sent<mesh::Start>().size(), 1u);
  h.advance(2000);
  EXPECT_EQ(h.sent<mesh::Submit>().size(), 1u);  // not lost
}

TEST(AdmissionEpochs, AnExecutorThatNeverDialsIsLost) {
  Harness h;
  h.run(1, e1);
  h.advance(999);
  EXPECT_EQ(h.sent<mesh::Submit>().size(), 1u);
  h.advance(1);
  EXPECT_EQ(h.last<mesh::Submit>().open.key, key(1, 2));
  h.join(e1);
  EXPECT_TRUE(h.sent<mesh::Start>().empty());
}

TEST(AdmissionEpochs, ARestartedExecutorLosesWhatItHeld) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.tokens(e1, key(1), 0, "ab");
  h.join(executor(1, 2));
  EXPECT_EQ(h.last<mesh::Submit>().open.key, key(1, 2));
  h.place(1, executor(1, 2), 2);
  EXPECT_EQ(h.last<mesh::Start>().generated, ids_of("ab"));
  h.clear();
  h.generate(2, h.ask(2));
  h.place(2, e1);  // on the life that is no more
  EXPECT_TRUE(h.sent<mesh::Start>().empty());
  EXPECT_EQ(h.last<mesh::Submit>().open.key, key(2, 2));
}

TEST(AdmissionEpochs, AnUnreachableExecutorIsTriedAgainAndThenLost) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.tokens(e1, key(1), 0, "ab");
  h.clear();
  const auto until = h.now + std::chrono::milliseconds(1000);
  while (h.now < until) {
    h.core.unreachable(e1, h.now, h.out);  // whatever was sent
    h.advance(50);
  }
  EXPECT_EQ(h.last<mesh::Submit>().open.key, key(1, 2));
  EXPECT_TRUE(h.sent<mesh::Start>().empty());  // it had begun: no second Start
  EXPECT_TRUE(h.balanced());
}

TEST(AdmissionEpochs, ABrokenConnectionThatHealsLosesNothing) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.core.unreachable(e1, h.now, h.out);  // Start did not arrive
  h.clear();
  h.advance(200);
  EXPECT_EQ(h.sent<mesh::Start>().size(), 1u);  // again
  h.advance(3000);
  EXPECT_TRUE(h.sent<mesh::Submit>().empty());
  h.tokens(e1, key(1), 0, "ab", Finish::stop);
  EXPECT_EQ(h.text(1), "ab");
  EXPECT_EQ(h.ending(1), "stop");
}

TEST(AdmissionEpochs, AnExecutorsGoodbyeMovesItsRequests) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.core.receive(e1, mesh::Goodbye{}, h.now, h.out);
  EXPECT_EQ(h.last<mesh::Submit>().open.key, key(1, 2));
}

TEST(AdmissionEpochs, TheThirdCountedCrashIsPoison) {
  Harness h;
  h.join(e1);
  h.generate(1, h.ask(1));
  for (std::uint32_t epoch = 1; epoch <= 5; ++epoch) {  // deaths that are nobody's fault
    h.place(1, e1, epoch);
    h.lose(1, epoch, false);
  }
  for (std::uint32_t epoch = 6; epoch <= 8; ++epoch) {
    EXPECT_EQ(h.ending(1), "") << epoch;
    h.place(1, e1, epoch);
    h.lose(1, epoch, true);
    h.lose(1, epoch, true);  // an epoch counts once
  }
  EXPECT_EQ(h.ending(1), "poison");
  EXPECT_TRUE(h.balanced());
}

TEST(AdmissionEpochs, ACrashIsCountedEvenWhenItsCauseComesLate) {
  Harness h({.poison_crashes = 1});
  h.join(e1);
  h.run(1, e1);
  h.join(executor(1, 2));  // it is back before its death was reported
  EXPECT_EQ(h.last<mesh::Submit>().open.key, key(1, 2));
  h.lose(1, 1, true);
  EXPECT_EQ(h.ending(1), "poison");
}

TEST(AdmissionEpochs, OtherNumericsAreToldOrRefused) {
  for (const auto determinism : {mesh::Determinism::prefer, mesh::Determinism::strict}) {
    Harness h;
    h.join(e1);
    h.join(e2);
    auto ask = h.ask(1);
    ask.determinism = determinism;
    h.generate(1, ask);
    h.place(1, e1);
    h.tokens(e1, key(1), 0, "ab", Finish::none, "n1");
    h.lose(1, 1);
    h.place(1, e2, 2);
    h.clear();
    h.tokens(e2, key(1, 2), 2, "c", Finish::stop, "n2");
    if (determinism == mesh::Determinism::prefer) {
      EXPECT_EQ(h.text(1), "c");
      EXPECT_FALSE(h.events<Done>(1).at(0).same_numerics);
    } else {
      EXPECT_EQ(h.text(1), "");
      EXPECT_EQ(h.ending(1), "");
      EXPECT_EQ(h.last<mesh::Stop>().key, key(1, 2));
    }
  }
}

TEST(AdmissionEpochs, IdsOutsideTheVocabularyFailTheRequest) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.core.receive(e1, mesh::Tokens{{{key(1), TokenIndex{0}, {70000}, Finish::none}}, "n"}, h.now,
                 h.out);
  EXPECT_EQ(h.ending(1), "engine_error");
  EXPECT_EQ(h.last<mesh::Stop>().key, key(1));
}

TEST(AdmissionEpochs, AStrangersTokensAreStopped) {
  Harness h;
  h.join(e1);
  h.join(e2);
  h.run(1, e1);
  h.tokens(e2, key(1), 0, "x");
  EXPECT_EQ(h.text(1), "");
  ASSERT_EQ(h.sent<mesh::Stop>().size(), 1u);
  EXPECT_EQ(h.sent<mesh::Stop>()[0].first, e2);
  h.tokens(executor(3), key(1), 0, "x");  // never said hello
  EXPECT_EQ(h.text(1), "");
}

}  // namespace
}  // namespace aorta::admission
