// What the next life of an admission makes of its journal: answers go on behind what was delivered.
#include "tests/actors/admission/journal_harness.hpp"

namespace aorta::admission {
namespace {

using mesh::Finish;

TEST(NextLife, TheNextLifeGoesOnBehindWhatWasDelivered) {
  MemoryJournal journal;
  { Life(journal).hello(Life(journal).ask(1)); }
  Life h(journal);
  EXPECT_EQ(h.outcome.known, 1u);
  h.join(e1);
  h.advance(100);
  EXPECT_TRUE(h.last<mesh::AdmissionBeat>().open.empty());  // nobody reads it
  h.resume_at(2, 4, "hell");
  EXPECT_EQ(h.events<Accepted>(2).at(0).life, 1u);
  const auto open = h.last<mesh::Submit>().open;
  EXPECT_EQ(open.key, key_of(reborn(1)));
  EXPECT_EQ(open.generated_tokens, 0u);
  EXPECT_EQ(open.numerics_id, "n");
  h.from_scheduler(mesh::Placed{open.key, e1});
  const auto start = h.last<mesh::Start>();
  EXPECT_TRUE(start.generated.empty());
  EXPECT_EQ(start.sampling.seed, 7u);
  EXPECT_EQ(start.prompt, ids_of("abc"));
  h.tokens(e1, open.key, 0, "he");
  EXPECT_EQ(h.text(2), "");
  h.advance(1000);
  EXPECT_FALSE(h.events<Waiting>(2).empty());  // its client had this already: a sign of life
  h.tokens(e1, open.key, 2, "llo");
  EXPECT_EQ(h.text(2), "o");
  EXPECT_EQ(h.events<Delta>(2).at(0).first, TokenIndex{4});
  h.tokens(e1, open.key, 5, "!", Finish::stop);
  EXPECT_EQ(h.text(2), "o!");
  EXPECT_EQ(h.ending(2), "stop");
  EXPECT_EQ(h.events<Done>(2).at(0).epochs, 2u);
  EXPECT_TRUE(h.balanced());
}

TEST(NextLife, EachLifeHasLargerEpochs) {
  MemoryJournal journal;
  Epoch largest{};
  { Life(journal, {}, false).hello(Harness().ask(1)); }
  for (std::uint32_t life = 1; life < 4; ++life) {
    Life h(journal);
    h.resume_at(2, 0, "");
    const Epoch epoch = h.last<mesh::Submit>().open.key.epoch;
    EXPECT_GT(epoch, largest);
    largest = epoch;
    // An executor goes on with an earlier one: it is told to stop.
    h.join(e1);
    h.clear();
    h.tokens(e1, key_of(Epoch{1}), 5, "x");
    EXPECT_EQ(h.last<mesh::Stop>().key, key_of(Epoch{1}));
  }
}

TEST(NextLife, AnAnswerThatDiffersIsAnErrorAndNotJoined) {
  MemoryJournal journal;
  { Life(journal, {}, false).hello(Harness().ask(1)); }
  Life h(journal);
  h.join(e1);
  h.resume_at(2, 4, "hexx");
  h.generates_again("hello");
  EXPECT_EQ(h.text(2), "");
  EXPECT_EQ(h.ending(2), "stream_mismatch");
  EXPECT_EQ(h.last<mesh::Stop>().key, key_of(reborn(1)));  // and nobody is left to read it
  h.resume_at(3, 4, "hexx");
  EXPECT_EQ(h.events<Rejected>(3).size() + h.events<Failed>(3).size(), 1u);
  EXPECT_TRUE(h.balanced());
}

TEST(NextLife, WhatIsToFinishIsQueuedAtOnce) {
  MemoryJournal journal;
  auto ask = Harness().ask(1);
  ask.on_disconnect = OnDisconnect::finish;
  { Life(journal, {}, false).hello(ask); }
  Life h(journal);
  h.advance(100);
  ASSERT_EQ(h.last<mesh::AdmissionBeat>().open.size(), 1u);
  EXPECT_EQ(h.last<mesh::AdmissionBeat>().open[0].key, key_of(reborn(1)));
  h.join(e1);
  h.generates_again("hello!", Finish::stop);
  h.resume_at(2, 5, "hello");
  EXPECT_EQ(h.text(2), "!");
  EXPECT_EQ(h.ending(2), "stop");
}

TEST(NextLife, ADeadlineOutlivesItsAdmission) {
  MemoryJournal journal;
  auto ask = Harness().ask(1);
  ask.timeout_ms = 2000;
  { Life(journal, {}, false).hello(ask); }
  Life h(journal);
  h.advance(1000);
  EXPECT_NE(h.core.audit().find("\"parked\":1"), std::string::npos);
  h.advance(1001);
  EXPECT_NE(h.core.audit().find("\"timeout\":1"), std::string::npos);
  h.resume_at(2, 5, "hello");
  EXPECT_EQ(h.ending(2), "timeout");
  EXPECT_TRUE(h.balanced());
}

TEST(NextLife, NobodyResumesForEverWhatAnEarlierLifeHadBegun) {
  MemoryJournal journal;
  { Life(journal, {}, false).hello(Harness().ask(1)); }
  Life h(journal, {.park_ms = 5000, .retain_ms = 5000});
  h.advance(10'002);
  h.keep();
  EXPECT_EQ(journal.size(), 0u);
  h.resume_at(2, 5, "hello");
  EXPECT_EQ(h.events<Rejected>(2).at(0).status, 404);
  EXPECT_TRUE(h.balanced());
}

TEST(NextLife, AFinishedAnswerIsReplayedAndEndsOnce) {
  MemoryJournal journal;
  {
    Life h(journal, {}, false);
    h.hello(h.ask(1));
    h.tokens(e1, key(1), 5, "!", Finish::stop);
    h.keep();
  }
  {
    Life h(journal);  // it is as over as it was: open for nobody
    EXPECT_NE(h.core.audit().find("\"parked\":0"), std::string::npos);
    EXPECT_NE(h.core.audit().find("\"retained\":1"), std::string::npos);
    h.cancel(3, 1);
    EXPECT_EQ(h.ending(3), "stop");
    EXPECT_EQ(h.events<Done>(3).at(0).usage.completion_tokens, 7u);
    h.join(e1);
    h.resume_at(2, 5, "hello");
    h.generates_again("hello!", Finish::stop);
    EXPECT_EQ(h.text(2), "!");
    EXPECT_EQ(h.ending(2), "stop");
    EXPECT_TRUE(h.balanced());
    h.keep();
  }
  Life h(journal);  // nobody asks: it is forgotten without another end
  h.advance(59'999);
  EXPECT_EQ(journal.size(), 1u);
  h.advance(2);
  h.keep();
  EXPECT_EQ(journal.size(), 0u);
  EXPECT_EQ(h.core.audit().find("\"stop\":1"), std::string::npos);
  EXPECT_TRUE(h.balanced());
}

TEST(NextLife, WhatWasCancelledEndsThereAgain) {
  MemoryJournal journal;
  {
    Life h(journal, {}, false);
    h.hello(h.ask(1));
    h.cancel(1, 1);
    EXPECT_EQ(h.ending(1), "cancelled");
    h.keep();
  }
  Life h(journal);
  h.join(e1);
  h.resume_at(2, 3, "hel");
  h.generates_again("hello, this goes on");
  EXPECT_EQ(h.text(2), "lo");
  EXPECT_EQ(h.ending(2), "cancelled");
  EXPECT_TRUE(h.balanced());
}

TEST(NextLife, AKeyFindsItsRequestInTheNextLife) {
  MemoryJournal journal;
  auto ask = Harness().ask(1);
  ask.idempotency_key = "k";
  ask.body_digest = "d";
  { Life(journal, {}, false).hello(ask); }
  Life h(journal);
  h.join(e1);
  ask.id = request_id(2);
  h.generate(2, ask);
  EXPECT_EQ(h.events<Accepted>(2).at(0).request, request_id(1));
  h.generates_again("hello!", Finish::stop);
  EXPECT_EQ(h.text(2), "hello!");
  ask.body_digest = "other";
  h.generate(3, ask);
  EXPECT_EQ(h.events<Rejected>(3).at(0).status, 409);
}

TEST(NextLife, AllChoicesComeBack) {
  MemoryJournal journal;
  {
    Life h(journal, {}, false);
    h.begin_two(h.ask(1));
    h.tokens(e1, key(1), 0, "ab", Finish::stop);
    h.tokens(e1, key(2), 0, "xy");
    h.keep();
  }
  Life h(journal);
  h.join(e1);
  h.core.resume(connection(2), "default", request_id(1), {TokenIndex{1}, TokenIndex{2}}, h.now,
                h.out);
  const auto submits = h.sent<mesh::Submit>();
  ASSERT_EQ(submits.size(), 2u);
  for (const auto& [to, submit] : submits) {
    h.from_scheduler(mesh::Placed{submit.open.key, e1});
  }
  h.tokens(e1, {request_id(1), reborn(1)}, 0, "ab", Finish::stop);
  h.tokens(e1, {request_id(2), reborn(1)}, 0, "xyz", Finish::stop);
  EXPECT_EQ(h.text(2), "bz");
  EXPECT_EQ(h.events<Done>(2).size(), 2u);
  EXPECT_TRUE(h.balanced());
}

TEST(NextLife, WhatLeavesInOrderIsGoneOnWith) {
  MemoryJournal journal;
  {
    Life h(journal, {.drain_ms = 1000}, false);
    h.hello(h.ask(1));
    h.core.drain(h.now, h.out);
    h.advance(1001);
    EXPECT_EQ(h.ending(1), "shutting_down");
    h.keep();
  }
  Life h(journal);
  h.join(e1);
  h.resume_at(2, 5, "hello");
  h.generates_again("hello!", Finish::stop);
  EXPECT_EQ(h.text(2), "!");
  EXPECT_EQ(h.ending(2), "stop");
}

TEST(NextLife, ARequestThatHasBegunAnewTooOftenIsGivenUpAloud) {
  MemoryJournal journal;
  { Life(journal, {}, false).hello(Harness().ask(1)); }
  for (std::uint32_t life = 1; life < most_lives; ++life) journal.read();
  Life h(journal);
  EXPECT_EQ(h.outcome.known, 0u);
  EXPECT_EQ(h.outcome.worn_out, 1u);
  h.keep();
  EXPECT_EQ(journal.size(), 0u);
  h.resume_at(2, 4, "hell");
  EXPECT_EQ(h.events<Rejected>(2).at(0).status, 404);
}

TEST(NextLife, EpochsOfALifeNeverReachTheNext) {
  for (const bool by_client : {false, true}) {
    Harness h;
    auto ask = h.ask(1);
    ask.on_disconnect = OnDisconnect::park;
    h.generate(1, ask);
    for (std::uint32_t epoch = 1; epoch < 0xffff; ++epoch) {
      if (by_client) {
        h.gone(1);
        h.resume(1, 1, 0);
      } else {
        h.lose(1, epoch);
      }
      h.out = {};
      h.told.clear();
      h.core.take_client_events();
    }
    if (by_client) h.gone(1);
    by_client ? h.resume(1, 1, 0) : h.lose(1, 0xffff);
    EXPECT_EQ(h.ending(1), "worn_out") << by_client;
    EXPECT_TRUE(h.sent<mesh::Submit>().empty()) << by_client;
    EXPECT_TRUE(h.balanced()) << by_client;
  }
}

TEST(NextLife, NobodyDecodesForAClientWhoseNewCursorDiffers) {
  MemoryJournal journal;
  Life h(journal);
  h.hello(h.ask(1));
  h.clear();
  h.resume_at(1, 3, "hxl");  // on the connection that had it
  EXPECT_EQ(h.events<Rejected>(1).at(0).code, "stream_mismatch");
  EXPECT_EQ(h.last<mesh::Stop>().key, key(1));
  EXPECT_TRUE(h.balanced());
}

}  // namespace
}  // namespace aorta::admission
