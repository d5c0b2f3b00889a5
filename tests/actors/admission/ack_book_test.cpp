#include "actors/admission/ack_book.hpp"

#include <gtest/gtest.h>

namespace aorta::admission {
namespace {

using std::chrono::milliseconds;

const mesh::PeerId e1{"executor-1", Incarnation{1}};
constexpr RequestId a{0, 1}, b{0, 2};
TimePoint at(int ms) { return TimePoint{std::chrono::hours(1)} + milliseconds(ms); }

AckBook book() { return AckBook(milliseconds(20), milliseconds(1000)); }

TEST(AckBook, NewsGoSoonButNotTooOften) {
  AckBook acks = book();
  acks.hold(e1, a, true, at(0));
  EXPECT_EQ(acks.next_due(), at(1000));
  acks.news(e1);
  EXPECT_EQ(acks.next_due(), at(20));
  EXPECT_TRUE(acks.due(at(19)).empty());
  EXPECT_EQ(acks.due(at(20)).size(), 1u);
  acks.sent(e1, at(20));
  acks.news(e1);
  acks.news(e1);
  EXPECT_TRUE(acks.due(at(39)).empty());
  EXPECT_EQ(acks.due(at(40)).size(), 1u);
}

TEST(AckBook, LeasesAreRenewedInSilence) {
  AckBook acks = book();
  acks.hold(e1, a, true, at(0));
  EXPECT_TRUE(acks.due(at(999)).empty());
  EXPECT_EQ(acks.due(at(1000)).size(), 1u);
}

TEST(AckBook, AnEndingIsSentOnceAndTheExecutorForgotten) {
  AckBook acks = book();
  acks.hold(e1, a, true, at(0));
  acks.complete(e1, {{a, Epoch{1}}, TokenIndex{5}, true});
  ASSERT_EQ(acks.due(at(20)).size(), 1u);
  ASSERT_EQ(acks.find(e1)->endings.size(), 1u);
  acks.sent(e1, at(20));
  EXPECT_TRUE(acks.due(at(40)).empty());
  EXPECT_EQ(acks.find(e1), nullptr);
  EXPECT_EQ(acks.next_due(), never);
}

TEST(AckBook, NothingIsDueToAnUnconnectedExecutor) {
  AckBook acks = book();
  acks.hold(e1, a, true, at(0));
  acks.news(e1);
  acks.set_connected(e1, false);
  EXPECT_EQ(acks.next_due(), never);
  acks.set_connected(e1, true);
  EXPECT_EQ(acks.due(at(20)).size(), 1u);
}

TEST(AckBook, DropReturnsWhatWasHeld) {
  AckBook acks = book();
  acks.hold(e1, a, true, at(0));
  acks.hold(e1, b, true, at(0));
  acks.hold({"executor-1", Incarnation{2}}, b, true, at(0));
  acks.hold({"executor-10", Incarnation{1}}, b, true, at(0));
  EXPECT_EQ(acks.lives_of("executor-1").size(), 2u);
  EXPECT_EQ(acks.drop(e1), (std::vector<RequestId>{a, b}));
  EXPECT_EQ(acks.find(e1), nullptr);
}

}  // namespace
}  // namespace aorta::admission
