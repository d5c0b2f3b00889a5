// What outlives an admission: nothing is accepted that is not written, and the next life goes on
// with what is.
#include "base/delivered_hash.hpp"
#include "tests/actors/admission/harness.hpp"
#include "tests/actors/admission/memory_journal.hpp"

namespace aorta::admission {
namespace {

using mesh::Finish;

const mesh::PeerId e1 = executor(1), e2 = executor(2);
const Error full{ErrorCode::resource_exhausted, "the disk is full"};

// An admission with a journal that answers when it is told to.
class Life : public Harness {
 public:
  explicit Life(MemoryJournal& journal, AdmissionOptions options = {}, bool recovered = true)
      : Harness(with_journal(options)), journal_(journal) {
    if (recovered) outcome = core.recover(journal_.read(), now);
    advance(0);
  }

  Recovered outcome;

  // Carries out what was asked of the journal; returns what it has to answer.
  std::vector<RequestId> keep() {
    std::vector<RequestId> written;
    for (const JournalCommand& command : core.take_journal_commands()) {
      journal_.apply(command);
      if (const auto* write = std::get_if<JournalWrite>(&command)) {
        written.push_back(write->record.request);
      }
    }
    return written;
  }
  void write() { core.on_journal(keep(), {}, now, out); }
  // The journal does nothing of what was asked, and says so.
  void fail() {
    std::vector<RequestId> failed;
    for (const JournalCommand& command : core.take_journal_commands()) {
      if (const auto* write = std::get_if<JournalWrite>(&command)) {
        failed.push_back(write->record.request);
      }
    }
    core.on_journal(failed, full, now, out);
  }
  void hello(GenerateRequest ask) {
    join(e1);
    generate(1, std::move(ask));
    write();
    place(1, e1);
    tokens(e1, key(1), 0, "hello");
    keep();
  }
  void resume_at(std::uint64_t to, std::uint32_t next, std::string_view delivered) {
    const auto ids = ids_of(delivered);
    core.resume(connection(to),
                {.tenant = "default",
                 .request = request_id(1),
                 .cursors = {{TokenIndex{next}, false, delivered_hash(ids)}}},
                now, out);
  }

 private:
  static AdmissionOptions with_journal(AdmissionOptions options) {
    options.journal = true;
    return options;
  }
  MemoryJournal& journal_;
};

Epoch reborn(std::uint32_t life, std::uint32_t epoch = 1) { return Epoch{life << 16 | epoch}; }
mesh::RequestKey key_of(Epoch epoch) { return {request_id(1), epoch}; }

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

TEST(Carried, ARequestIsGeneratedAgainWhereItIsNotKnown) {
  Harness h;
  h.join(e1);
  ResumeRequest resume{.tenant = "default",
                       .request = request_id(1),
                       .cursors = {{TokenIndex{3}, false, delivered_hash(ids_of("hel"))}},
                       .life = 2,
                       .carried = h.ask(9)};
  h.core.resume(connection(1), resume, h.now, h.out);
  const auto accepted = h.events<Accepted>(1).at(0);
  EXPECT_EQ(accepted.request, request_id(1));
  EXPECT_EQ(accepted.life, 256u);
  const auto open = h.last<mesh::Submit>().open;
  EXPECT_EQ(open.key, key_of(reborn(256)));
  h.from_scheduler(mesh::Placed{open.key, e1});
  h.tokens(e1, open.key, 0, "hello", Finish::none);
  EXPECT_EQ(h.text(1), "lo");
  // Back at one that had it: its epochs are larger again.
  h.tokens(e1, open.key, 5, "!", Finish::stop);
  EXPECT_EQ(h.ending(1), "stop");
  EXPECT_TRUE(h.balanced());
}

TEST(Carried, AnotherTenantsRequestIsNotTouched) {
  Harness h;
  stream_hello(h, h.ask(1));
  h.clear();
  auto ask = h.ask(1);
  ask.tenant = "other";
  h.core.resume(connection(2), {.tenant = "other", .request = request_id(1), .carried = ask},
                h.now, h.out);
  EXPECT_EQ(h.events<Rejected>(2).size(), 1u);
  EXPECT_TRUE(h.sent<mesh::Stop>().empty());
  h.tokens(e1, key(1), 5, "!", Finish::stop);
  EXPECT_EQ(h.text(1), "!");
}

TEST(Carried, WhoComesBackTakesItBack) {
  Harness h;
  auto ask = h.ask(1);
  ask.on_disconnect = OnDisconnect::finish;
  stream_hello(h, ask);
  h.gone(1);
  h.core.resume(connection(2),
                {.tenant = "default",
                 .request = request_id(1),
                 .cursors = {{TokenIndex{7}, false, delivered_hash(ids_of("hello, "))}},
                 .life = 256},
                h.now, h.out);
  EXPECT_EQ(h.last<mesh::Stop>().key, key(1));
  const auto open = h.last<mesh::Submit>().open;
  EXPECT_EQ(open.key, key_of(reborn(512)));
  EXPECT_EQ(open.generated_tokens, 5u);
  h.from_scheduler(mesh::Placed{open.key, e1});
  h.tokens(e1, open.key, 5, ", you", Finish::none);
  EXPECT_EQ(h.text(2), "you");
}

TEST(Carried, WhatWasPromisedIsNotShed) {
  Harness h;
  h.figures.starts_per_minute = 1;
  h.figures.queued = {0, 1000, 0};
  h.figures.slots_free = 0;
  h.beat();
  for (std::uint64_t i = 10; i < 20; ++i) h.generate(i, h.ask(i));
  h.generate(1, h.ask(1));
  ASSERT_EQ(h.events<Rejected>(1).at(0).code, "overloaded");
  ResumeRequest resume{.tenant = "default", .request = request_id(1), .carried = h.ask(1)};
  h.core.resume(connection(2), resume, h.now, h.out);
  EXPECT_EQ(h.events<Rejected>(2).size(), 1u);  // it has nothing to show for it
  resume.cursors = {{TokenIndex{1}, false, delivered_hash(ids_of("h"))}};
  h.core.resume(connection(3), resume, h.now, h.out);
  EXPECT_EQ(h.events<Accepted>(3).size(), 1u);
}

}  // namespace
}  // namespace aorta::admission
