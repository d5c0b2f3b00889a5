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

TEST(Journal, NobodyIsSentToAnAdmissionThatCannotWrite) {
  MemoryJournal journal;
  Life h(journal);
  EXPECT_TRUE(h.core.readiness(h.now).ready);
  h.core.on_journal_state(Error{ErrorCode::resource_exhausted, "/var/lib/a: no space"});
  const Readiness readiness = h.core.readiness(h.now);
  EXPECT_FALSE(readiness.ready);
  EXPECT_NE(readiness.reason.find("the disk is full"), std::string::npos);
  EXPECT_EQ(readiness.reason.find("/var"), std::string::npos);
  h.generate(1, h.ask(1));  // who asks all the same is no worse off
  h.write();
  EXPECT_EQ(h.events<Accepted>(1).size(), 1u);
  h.core.on_journal_state({});
  EXPECT_TRUE(h.core.readiness(h.now).ready);
}

TEST(Journal, OneThatNeverAnswersHasFailed) {
  MemoryJournal journal;
  Life h(journal, {.journal_wait_ms = 3000});
  h.generate(1, h.ask(1));
  h.keep();
  h.advance(2999);
  EXPECT_TRUE(h.events<Rejected>(1).empty());
  EXPECT_TRUE(h.core.readiness(h.now).ready);
  h.advance(1);
  EXPECT_EQ(h.events<Rejected>(1).at(0).code, "journal_unavailable");
  EXPECT_FALSE(h.core.readiness(h.now).ready);
  h.core.on_journal({request_id(1)}, {}, h.now, h.out);  // too late
  EXPECT_TRUE(h.core.readiness(h.now).ready);
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

}  // namespace
}  // namespace aorta::admission
