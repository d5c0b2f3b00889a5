// What outlives an admission: nothing is accepted that is not written, and the next life goes on
// with what is.
#include "tests/actors/admission/journal_harness.hpp"

namespace aorta::admission {
namespace {

using mesh::Finish;

TEST(Journal, NothingIsAcceptedBeforeItIsWritten) {
  MemoryJournal journal;
  Life h(journal);
  h.generate(1, h.ask(1));
  EXPECT_TRUE(h.events<Accepted>(1).empty());
  EXPECT_TRUE(h.sent<mesh::Submit>().empty());
  h.advance(500);
  EXPECT_TRUE(h.events<Accepted>(1).empty());
  h.write();
  EXPECT_EQ(h.events<Accepted>(1).size(), 1u);
  EXPECT_EQ(h.sent<mesh::Submit>().size(), 1u);
  EXPECT_EQ(journal.size(), 1u);
  EXPECT_TRUE(h.balanced());
}

TEST(Journal, OneThatFailsRefusesAndTheNextIsTriedAsEver) {
  MemoryJournal journal;
  Life h(journal);
  h.generate(1, h.ask(1));
  h.fail();
  const auto rejected = h.events<Rejected>(1).at(0);
  EXPECT_EQ(rejected.status, 503);
  EXPECT_EQ(rejected.code, "journal_unavailable");
  EXPECT_NE(rejected.message.find("the disk is full"), std::string::npos);
  EXPECT_EQ(rejected.message.find("/var"), std::string::npos) << "where it lies is not for clients";
  EXPECT_GT(rejected.retry_after_ms, 0u);
  h.generate(2, h.ask(2));
  h.write();
  EXPECT_EQ(h.events<Accepted>(2).size(), 1u);
  EXPECT_EQ(journal.size(), 1u);
  EXPECT_TRUE(h.balanced());
}

TEST(Journal, OneThatNeverAnswersHasFailed) {
  MemoryJournal journal;
  Life h(journal, {.journal_wait_ms = 3000});
  h.generate(1, h.ask(1));
  h.keep();
  h.advance(2999);
  EXPECT_TRUE(h.events<Rejected>(1).empty());
  h.advance(1);
  EXPECT_EQ(h.events<Rejected>(1).at(0).code, "journal_unavailable");
  h.core.on_journal({request_id(1)}, {}, h.now, h.out);  // too late
  EXPECT_TRUE(h.events<Accepted>(1).empty());
  h.keep();
  EXPECT_EQ(journal.size(), 0u);
}

TEST(Journal, WhoeverLeavesBeforeItIsWrittenLeavesNothing) {
  for (const int how : {0, 1, 2}) {
    MemoryJournal journal;
    Life h(journal);
    h.generate(1, h.ask(1));
    const auto asked = h.keep();
    if (how == 0) h.gone(1);
    if (how == 1) h.cancel(1, 1);
    if (how == 2) h.core.drain(h.now, h.out);
    h.core.on_journal(asked, {}, h.now, h.out);
    h.keep();
    EXPECT_TRUE(h.events<Accepted>(1).empty()) << how;
    EXPECT_EQ(journal.size(), 0u) << how;
    EXPECT_TRUE(h.balanced()) << how;
  }
}

TEST(Journal, ForgetsWhatIsForgotten) {
  MemoryJournal journal;
  Life h(journal, {.retain_ms = 5000});
  h.hello(h.ask(1));
  h.tokens(e1, key(1), 5, "!", Finish::stop);
  h.keep();
  EXPECT_EQ(journal.size(), 1u);
  h.advance(5001);
  h.keep();
  EXPECT_EQ(journal.size(), 0u);
}

TEST(Journal, TheNextLifeGoesOnBehindWhatWasDelivered) {
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

TEST(Journal, EachLifeHasLargerEpochs) {
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

TEST(Journal, AnAnswerThatDiffersIsAnErrorAndNotJoined) {
  MemoryJournal journal;
  { Life(journal, {}, false).hello(Harness().ask(1)); }
  Life h(journal);
  h.join(e1);
  h.resume_at(2, 4, "hexx");
  h.from_scheduler(mesh::Placed{key_of(reborn(1)), e1});
  h.tokens(e1, key_of(reborn(1)), 0, "hello");
  EXPECT_EQ(h.text(2), "");
  EXPECT_EQ(h.ending(2), "stream_mismatch");
  EXPECT_EQ(h.last<mesh::Stop>().key, key_of(reborn(1)));  // and nobody is left to read it
  h.resume_at(3, 4, "hexx");
  EXPECT_EQ(h.events<Rejected>(3).size() + h.events<Failed>(3).size(), 1u);
  EXPECT_TRUE(h.balanced());
}

TEST(Journal, WhatIsToFinishIsQueuedAtOnce) {
  MemoryJournal journal;
  auto ask = Harness().ask(1);
  ask.on_disconnect = OnDisconnect::finish;
  { Life(journal, {}, false).hello(ask); }
  Life h(journal);
  h.advance(100);
  ASSERT_EQ(h.last<mesh::AdmissionBeat>().open.size(), 1u);
  EXPECT_EQ(h.last<mesh::AdmissionBeat>().open[0].key, key_of(reborn(1)));
  h.join(e1);
  h.from_scheduler(mesh::Placed{key_of(reborn(1)), e1});
  h.tokens(e1, key_of(reborn(1)), 0, "hello!", Finish::stop);
  h.resume_at(2, 5, "hello");
  EXPECT_EQ(h.text(2), "!");
  EXPECT_EQ(h.ending(2), "stop");
}

TEST(Journal, ADeadlineOutlivesItsAdmission) {
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

TEST(Journal, NobodyResumesForEverWhatAnEarlierLifeHadBegun) {
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

TEST(Journal, AFinishedAnswerIsReplayedAndEndsOnce) {
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
    h.from_scheduler(mesh::Placed{key_of(reborn(1)), e1});
    h.tokens(e1, key_of(reborn(1)), 0, "hello!", Finish::stop);
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

TEST(Journal, WhatWasCancelledEndsThereAgain) {
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
  h.from_scheduler(mesh::Placed{key_of(reborn(1)), e1});
  h.tokens(e1, key_of(reborn(1)), 0, "hello, this goes on");
  EXPECT_EQ(h.text(2), "lo");
  EXPECT_EQ(h.ending(2), "cancelled");
  EXPECT_TRUE(h.balanced());
}

TEST(Journal, AKeyFindsItsRequestInTheNextLife) {
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
  h.from_scheduler(mesh::Placed{key_of(reborn(1)), e1});
  h.tokens(e1, key_of(reborn(1)), 0, "hello!", Finish::stop);
  EXPECT_EQ(h.text(2), "hello!");
  ask.body_digest = "other";
  h.generate(3, ask);
  EXPECT_EQ(h.events<Rejected>(3).at(0).status, 409);
}

TEST(Journal, AllChoicesComeBack) {
  MemoryJournal journal;
  auto ask = Harness().ask(1);
  ask.choices = 2;
  {
    Life h(journal, {}, false);
    h.join(e1);
    h.generate(1, ask);
    h.write();
    h.place(1, e1);
    h.place(2, e1);
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

TEST(Journal, WhatLeavesInOrderIsGoneOnWith) {
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
  h.from_scheduler(mesh::Placed{key_of(reborn(1)), e1});
  h.tokens(e1, key_of(reborn(1)), 0, "hello!", Finish::stop);
  EXPECT_EQ(h.text(2), "!");
  EXPECT_EQ(h.ending(2), "stop");
}

TEST(Journal, AnswersLateAndNoStreamNoticesIt) {
  MemoryJournal journal;
  Life h(journal);
  h.hello(h.ask(1));
  h.clear();
  for (std::uint64_t i = 2; i < 12; ++i) h.generate(i, h.ask(i));
  const auto asked = h.keep();
  ASSERT_EQ(asked.size(), 10u);
  std::string streamed;
  for (std::uint32_t i = 0; i < 40; ++i) {  // four seconds in which the journal says nothing
    h.tokens(e1, key(1), 5 + i, "x");
    EXPECT_EQ(h.text(1), streamed += "x") << "a token waited for the journal";
    h.advance(100);
    EXPECT_GE(h.last<mesh::Ack>().items.at(0).next, TokenIndex{6 + i});
  }
  h.cancel(1, 1);
  EXPECT_EQ(h.ending(1), "cancelled");  // nor does an end wait for its record
  EXPECT_TRUE(h.events<Accepted>(2).empty());
  h.core.on_journal(asked, {}, h.now, h.out);
  EXPECT_EQ(h.events<Accepted>(2).size(), 1u);
  EXPECT_TRUE(h.balanced());
}

TEST(Journal, OneThatIsStuckIsAskedNoMore) {
  MemoryJournal journal;
  Life h(journal, {.open_requests = 4, .journal_wait_ms = 1000});
  std::vector<RequestId> asked;
  for (std::uint64_t i = 1; i < 20; ++i) {
    h.generate(i, h.ask(i));
    for (const RequestId one : h.keep()) asked.push_back(one);
    h.advance(1000);
    EXPECT_EQ(h.events<Rejected>(i).at(0).code, "journal_unavailable");
  }
  EXPECT_EQ(asked.size(), 4u);
  h.core.on_journal(asked, {}, h.now, h.out);
  h.generate(20, h.ask(20));
  h.write();
  EXPECT_EQ(h.events<Accepted>(20).size(), 1u);
}

TEST(Journal, ARequestThatHasBegunAnewTooOftenIsGivenUpAloud) {
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

TEST(Journal, EpochsOfALifeNeverReachTheNext) {
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

TEST(Journal, NobodyDecodesForAClientWhoseNewCursorDiffers) {
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
