// Admission and its executors: acknowledgements, gaps, connections that come and go.
#include "tests/actors/admission/harness.hpp"

namespace aorta::admission {
namespace {

using mesh::Finish;

const mesh::PeerId e1 = executor(1), e2 = executor(2);

TEST(AdmissionExecutors, AcksAreCoalescedAndNameAllThatIsHeld) {
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

TEST(AdmissionExecutors, AcksRenewLeasesInSilence) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.clear();
  h.advance(5000);  // one lease
  EXPECT_EQ(h.sent<mesh::Ack>().size(), 4u);
}

TEST(AdmissionExecutors, TheEndIsAcknowledgedOnce) {
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

TEST(AdmissionExecutors, AGapIsAskedForAndKnownTokensAreDropped) {
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

TEST(AdmissionExecutors, AnExecutorStartsWhenItHasDialled) {
  Harness h;
  h.run(1, e1);
  EXPECT_TRUE(h.sent<mesh::Start>().empty());
  h.advance(500);
  h.join(e1);
  EXPECT_EQ(h.sent<mesh::Start>().size(), 1u);
  h.advance(2000);
  EXPECT_EQ(h.sent<mesh::Submit>().size(), 1u);  // not lost
}

TEST(AdmissionExecutors, AnExecutorThatNeverDialsIsLost) {
  Harness h;
  h.run(1, e1);
  h.advance(999);
  EXPECT_EQ(h.sent<mesh::Submit>().size(), 1u);
  h.advance(1);
  EXPECT_EQ(h.last<mesh::Submit>().open.key, key(1, 2));
  h.join(e1);
  EXPECT_TRUE(h.sent<mesh::Start>().empty());
}

TEST(AdmissionExecutors, ARestartedExecutorLosesWhatItHeld) {
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

TEST(AdmissionExecutors, AnUnreachableExecutorIsTriedAgainAndThenLost) {
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

TEST(AdmissionExecutors, ABrokenConnectionThatHealsLosesNothing) {
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

TEST(AdmissionExecutors, AnExecutorsGoodbyeMovesItsRequests) {
  Harness h;
  h.join(e1);
  h.run(1, e1);
  h.core.receive(e1, mesh::Goodbye{}, h.now, h.out);
  EXPECT_EQ(h.last<mesh::Submit>().open.key, key(1, 2));
}

TEST(AdmissionExecutors, AStrangersTokensAreStopped) {
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
