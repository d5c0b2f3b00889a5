// A request that its client carries to another admission, or back: nobody else can, it has one
// owner at a time, and nothing is told before it is written.
#include "tests/actors/admission/journal_harness.hpp"

namespace aorta::admission {
namespace {

using mesh::Finish;

ResumeRequest resume_of(std::string_view delivered, std::uint32_t life) {
  const auto next = static_cast<std::uint32_t>(delivered.size());
  return {.tenant = "default",
          .request = request_id(1),
          .cursors = {{TokenIndex{next}, false, delivered_hash(ids_of(delivered))}},
          .life = life};
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

TEST(Carried, ForAnotherTenantItIsAsUnknownAsWhatNeverWas) {
  for (const bool here : {true, false}) {  // its owner, and an admission that never had it
    Harness h;
    if (here) stream_hello(h, h.ask(1));
    h.clear();
    auto ask = h.ask(1);
    ask.tenant = "other";
    h.core.resume(connection(2),
                  {.tenant = "other", .request = request_id(1), .life = 3, .carried = ask}, h.now,
                  h.out);
    h.core.resume(connection(3), {.tenant = "other", .request = request_id(1)}, h.now, h.out);
    const auto rejected = h.events<Rejected>(2);
    ASSERT_EQ(rejected.size(), 1u) << here;
    EXPECT_EQ(rejected[0].status, 404) << here;
    EXPECT_EQ(rejected[0].code, h.events<Rejected>(3).at(0).code) << here;
    EXPECT_EQ(rejected[0].message, h.events<Rejected>(3).at(0).message) << here;
    EXPECT_TRUE(h.sent<mesh::Submit>().empty()) << here;
    EXPECT_TRUE(h.sent<mesh::Stop>().empty()) << here;
  }
}

// ── Another admission carries it on ──────────────────────────────────────────────────────────

const mesh::Lost elsewhere{{request_id(1), reborn(256)}, mesh::LostReason::superseded};

TEST(Carried, WhatRunsElsewhereEndsHereWithNothingLeft) {
  for (const OnDisconnect way :
       {OnDisconnect::cancel, OnDisconnect::park, OnDisconnect::finish}) {
    MemoryJournal journal;
    Life h(journal, {}, false);
    auto ask = h.ask(1);
    ask.on_disconnect = way;
    ask.idempotency_key = "k";
    h.hello(ask);
    if (way != OnDisconnect::cancel) h.gone(1);
    h.clear();
    h.from_scheduler(elsewhere);
    h.keep();
    EXPECT_EQ(journal.size(), 0u);
    EXPECT_EQ(h.core.readiness(h.now).open_requests, 0u);
    EXPECT_TRUE(h.balanced());
    EXPECT_NE(h.core.audit().find("\"moved\":1"), std::string::npos);
    EXPECT_EQ(h.core.audit().find("\"superseded\":1"), std::string::npos);  // no epoch was lost
    EXPECT_EQ(h.sent<mesh::Stop>().size(), way == OnDisconnect::park ? 0u : 1u);
    if (way == OnDisconnect::cancel) {
      EXPECT_EQ(h.ending(1), "carried_on");
    }
    h.advance(1000);
    EXPECT_TRUE(h.last<mesh::AdmissionBeat>().open.empty());
    // Its client may come back.
    auto back = resume_of("hel", 256);
    back.carried = h.ask(1);
    h.core.resume(connection(2), back, h.now, h.out);
    h.write();
    EXPECT_EQ(h.events<Accepted>(2).at(0).life, 512u);
  }
}

TEST(Carried, AllChoicesEndTogetherWhereTheyRunNoMore) {
  MemoryJournal journal;
  Life h(journal, {}, false);
  h.begin_two(h.ask(1));
  h.tokens(e1, key(1), 0, "ab", Finish::stop);
  h.from_scheduler(mesh::Lost{{request_id(2), reborn(256)}, mesh::LostReason::superseded});
  h.keep();
  EXPECT_EQ(journal.size(), 0u);
  EXPECT_EQ(h.core.readiness(h.now).open_requests, 0u);
  EXPECT_TRUE(h.balanced());
}

TEST(Carried, WhatAnEarlierLifeHadEndsWhenItRunsElsewhere) {
  for (const OnDisconnect way : {OnDisconnect::park, OnDisconnect::finish}) {
    MemoryJournal journal;
    auto ask = Harness().ask(1);
    ask.on_disconnect = way;
    { Life(journal, {}, false).hello(ask); }
    Life h(journal);
    h.from_scheduler(elsewhere);
    h.keep();
    EXPECT_EQ(journal.size(), 0u);
    EXPECT_EQ(h.core.readiness(h.now).open_requests, 0u);
    EXPECT_TRUE(h.balanced());
  }
}

TEST(Carried, WhatHasEndedHereIsKeptWhoeverGoesOn) {
  Harness h;
  stream_hello(h, h.ask(1));
  h.tokens(e1, key(1), 5, "!", Finish::stop);
  h.from_scheduler(elsewhere);
  h.resume(2, 1, 5);
  EXPECT_EQ(h.text(2), "!");
  EXPECT_EQ(h.ending(2), "stop");
}

// ── Back at one that had it ──────────────────────────────────────────────────────────────────

// A request that is to finish; its client comes back with two tokens more than are here.
class Return : public testing::Test {
 protected:
  Return() {
    auto ask = h.ask(1);
    ask.on_disconnect = OnDisconnect::finish;
    h.hello(ask);
    h.gone(1);
    h.clear();
  }
  void come_back() { h.core.resume(connection(2), resume_of("hello, ", 256), h.now, h.out); }

  MemoryJournal journal;
  Life h{journal, {.journal_wait_ms = 3000}, false};
};

TEST_F(Return, IsWrittenBeforeItIsTold) {
  come_back();
  const auto asked = h.keep();
  EXPECT_EQ(asked.size(), 1u);
  EXPECT_TRUE(h.events<Accepted>(2).empty());
  EXPECT_TRUE(h.sent<mesh::Submit>().empty());
  h.core.on_journal(asked, {}, h.now, h.out);
  EXPECT_EQ(h.events<Accepted>(2).at(0).life, 512u);
  EXPECT_EQ(h.last<mesh::Submit>().open.key, key_of(reborn(512)));
  EXPECT_EQ(journal.read().at(0).record.life, 513u);  // of the next life
}

TEST_F(Return, IsRefusedWhenItCannotBeWritten) {
  come_back();
  h.fail();
  EXPECT_EQ(h.events<Rejected>(2).at(0).code, "journal_unavailable");
  EXPECT_GT(h.events<Rejected>(2).at(0).retry_after_ms, 0u);
  h.tokens(e1, key(1), 5, "!", Finish::stop);  // it runs on as it did
  h.resume(3, 1, 5);
  EXPECT_EQ(h.text(3), "!");
  EXPECT_TRUE(h.balanced());
}

TEST_F(Return, IsRefusedWhenThatTakesTooLong) {
  come_back();
  const auto asked = h.keep();
  h.advance(3000);
  EXPECT_EQ(h.events<Rejected>(2).at(0).code, "journal_unavailable");
  h.core.on_journal(asked, {}, h.now, h.out);  // too late
  EXPECT_TRUE(h.events<Accepted>(2).empty());
  EXPECT_TRUE(h.balanced());
}

TEST_F(Return, IsForgottenWithItsClient) {
  come_back();
  const auto asked = h.keep();
  h.gone(2);
  h.core.on_journal(asked, {}, h.now, h.out);
  EXPECT_TRUE(h.events<Accepted>(2).empty());
  EXPECT_TRUE(h.sent<mesh::Stop>().empty());
}

TEST_F(Return, OfAnAnswerThatIsWholeHereNeedsNothing) {
  h.tokens(e1, key(1), 5, ", you", Finish::stop);
  h.keep();
  come_back();
  EXPECT_TRUE(h.keep().empty());
  EXPECT_EQ(h.text(2), "you");
  EXPECT_EQ(h.ending(2), "stop");
}

TEST_F(Return, IsRefusedByWhoLeaves) {
  come_back();
  h.core.drain(h.now, h.out);
  h.advance(30'000);
  EXPECT_EQ(h.events<Rejected>(2).at(0).code, "draining");
}

}  // namespace
}  // namespace aorta::admission
