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

TEST(AdmissionEpochs, RequestsThatNameNoSamplingGetTheConfiguredOne) {
  Harness h({.default_temperature = 0.25f, .default_top_p = 0.75f});
  h.join(e1);
  auto ask = h.ask(1);
  ask.sampling_given = false;
  h.generate(1, ask);
  h.place(1, e1);
  const auto& sampling = h.last<mesh::Start>().sampling;
  EXPECT_EQ(sampling.temperature, 0.25f);
  EXPECT_EQ(sampling.top_p, 0.75f);
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
    if (epoch < 8) {
      EXPECT_EQ(h.last<mesh::Submit>().open.crashes, epoch - 5) << "schedulers die too";
    }
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

TEST(AdmissionEpochs, LogprobsOfSomeIdsOnlyFailTheRequest) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  const mesh::TokenRun run{
      .key = key(1), .first = TokenIndex{0}, .ids = {65, 66}, .logprobs = {{-1.0f, {}}}};
  h.core.receive(e1, mesh::Tokens{{run}, "n"}, h.now, h.out);
  EXPECT_EQ(h.ending(1), "engine_error");
  EXPECT_EQ(h.text(1), "");
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

}  // namespace
}  // namespace aorta::admission
