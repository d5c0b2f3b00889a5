#include "actors/admission/ledger.hpp"

#include <gtest/gtest.h>

#include "base/delivered_hash.hpp"
#include "engine/fake/fake_text_model.hpp"

namespace aorta::admission {
namespace {

using mesh::Finish;

std::vector<TokenId> ids(std::string_view text) {
  std::vector<TokenId> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

Ledger ledger(std::vector<std::string> stops = {}, std::uint32_t max_tokens = 100) {
  return Ledger({.prompt = {1, 2, 3},
                 .max_tokens = max_tokens,
                 .model = engine::make_fake_text_model({}),
                 .stop_strings = std::move(stops)});
}

constexpr ConnectionId one{1}, two{2};

// All that the first subscriber has not got.
std::string text_for(const Ledger& ledger) {
  std::string text;
  Subscriber subscriber = ledger.subscribers()[0];
  while (const auto delta = ledger.take_delta(subscriber)) text += delta->text;
  return text;
}

TEST(Ledger, GivesEachSubscriberEachTokenOnce) {
  Ledger l = ledger();
  l.attach(one, {});
  l.append(ids("ab"), Finish::none);
  auto first = l.take_delta(l.subscribers()[0]);
  EXPECT_EQ(first->text, "ab");
  EXPECT_FALSE(l.take_delta(l.subscribers()[0]));
  l.attach(two, {TokenIndex{1}});
  l.append(ids("c"), Finish::none);
  auto second = l.take_delta(l.subscribers()[0]);
  EXPECT_EQ(second->first, TokenIndex{2});
  EXPECT_EQ(second->text, "c");
  EXPECT_EQ(l.take_delta(l.subscribers()[1])->text, "bc");
}

TEST(Ledger, EndsAtAStopStringHoweverTheIdsAreCut) {
  for (std::size_t cut = 0; cut <= 9; ++cut) {
    Ledger l = ledger({"END"});
    const auto all = ids("abcENDxyz");
    const std::span<const TokenId> span(all);
    auto finish = l.append(span.first(cut), Finish::none);
    if (finish == Finish::none) finish = l.append(span.subspan(cut), Finish::length);
    EXPECT_EQ(finish, Finish::stop) << cut;
    EXPECT_EQ(l.text(), "abc") << cut;
    EXPECT_EQ(l.generated().size(), 6u) << cut;
  }
}

// Whoever has the last id may or may not have what only the end released.
TEST(Ledger, WithheldTextBelongsToTheEnd) {
  Ledger l = ledger({"END"});
  l.attach(one, {});
  l.append(ids("xE"), Finish::none);
  EXPECT_EQ(l.take_delta(l.subscribers()[0])->text, "x");
  EXPECT_EQ(l.append(ids("N"), Finish::length), Finish::length);
  const auto last = l.take_delta(l.subscribers()[0]);
  EXPECT_EQ(last->ids, ids("N"));
  EXPECT_EQ(last->text, "");
  const auto end = l.take_delta(l.subscribers()[0]);
  EXPECT_EQ(end->first, TokenIndex{3});
  EXPECT_TRUE(end->ids.empty());
  EXPECT_EQ(end->text, "EN");
  EXPECT_FALSE(l.take_delta(l.subscribers()[0]));
  l.attach(two, {TokenIndex{3}});
  EXPECT_EQ(l.take_delta(l.subscribers()[1])->text, "EN");
  l.attach(two, {TokenIndex{3}, true});
  EXPECT_FALSE(l.take_delta(l.subscribers()[1]));
}

TEST(Ledger, TheStopIdIsCountedButGivesNoText) {
  Ledger l = ledger();
  EXPECT_EQ(l.append(ids("hi!"), Finish::stop), Finish::stop);
  EXPECT_EQ(l.text(), "hi");
  EXPECT_EQ(l.usage().completion_tokens, 3u);
  EXPECT_EQ(l.usage().prompt_tokens, 3u);
}

TEST(Ledger, TakesNoMoreThanMaxTokens) {
  Ledger l = ledger({}, 3);
  EXPECT_EQ(l.append(ids("abcdef"), Finish::none), Finish::length);
  EXPECT_EQ(l.generated().size(), 3u);
  EXPECT_EQ(l.text(), "abc");
}

TEST(Ledger, ResumesAtEachIndexWithExactlyTheRest) {
  const std::string answer = "naïve “text” 🎈";
  Ledger l = ledger();
  l.append(ids(answer), Finish::length);
  std::string before;
  for (std::uint32_t next = 0; next <= l.next().value; ++next) {
    l.attach(one, {TokenIndex{next}});
    const std::string rest = text_for(l);
    Ledger prefix = ledger();
    prefix.append(std::span(l.generated()).first(next), Finish::none);
    EXPECT_EQ(prefix.text() + rest, answer) << next;
  }
}

TEST(Ledger, ResumesAtEachIndexWithExactlyTheRestHoweverItEnds) {
  // A broken character, a beginning of a stop string and an end within the thinking: each is
  // withheld until the end, which comes with the last id or after it.
  for (const std::string answer : {"caf\xC3", "a <stop b <sto", "<think>hm</thi"}) {
    for (const bool apart : {false, true}) {
      const auto fresh = [] {
        return Ledger({.prompt = {1},
                       .max_tokens = 100,
                       .model = engine::make_fake_text_model({}),
                       .stop_strings = {"<stop>"},
                       .reasoning = engine::Reasoning::possible});
      };
      Ledger l = fresh();
      l.append(ids(answer), apart ? Finish::none : Finish::length);
      if (apart) l.append({}, Finish::length);
      for (std::uint32_t next = 0; next <= l.next().value; ++next) {
        Ledger prefix = fresh();
        prefix.append(std::span(l.generated()).first(next), Finish::none);
        l.attach(one, {TokenIndex{next}});
        EXPECT_EQ(prefix.text() + text_for(l), l.text()) << answer << next;
      }
    }
  }
}

TEST(Ledger, OneThatIsAheadHearsNothingUntilItsIndexIsReached) {
  Ledger l = ledger();
  l.append(ids("ab"), Finish::none);
  EXPECT_TRUE(l.attach(one, {TokenIndex{4}, false, delivered_hash(ids("abcd"))}));
  EXPECT_TRUE(l.someone_is_ahead());
  l.append(ids("c"), Finish::none);
  EXPECT_TRUE(l.agrees_with(l.subscribers()[0]));
  EXPECT_FALSE(l.take_delta(l.subscribers()[0]));
  l.append(ids("de"), Finish::none);
  EXPECT_TRUE(l.agrees_with(l.subscribers()[0]));
  EXPECT_FALSE(l.someone_is_ahead());
  EXPECT_EQ(l.take_delta(l.subscribers()[0])->text, "e");
}

TEST(Ledger, NeverJoinsTwoAnswersThatDiffer) {
  Ledger l = ledger();
  l.append(ids("ab"), Finish::none);
  EXPECT_FALSE(l.attach(one, {TokenIndex{2}, false, delivered_hash(ids("aX"))}));
  EXPECT_TRUE(l.attach(one, {TokenIndex{2}, false, delivered_hash(ids("ab"))}));
  EXPECT_TRUE(l.attach(two, {TokenIndex{3}, false, delivered_hash(ids("abX"))}));
  l.append(ids("c"), Finish::none);
  EXPECT_FALSE(l.agrees_with(l.subscribers()[1]));
  // What was delivered is longer than the answer that is complete now.
  l.attach(two, {TokenIndex{5}});
  l.append({}, Finish::stop);
  EXPECT_FALSE(l.agrees_with(l.subscribers()[1]));
}

TEST(DeliveredHash, IsTheSameWhereverItIsComputed) {
  EXPECT_EQ(hash_text(delivered_hash({})), "cbf29ce484222325");
  const std::vector<TokenId> some{1, 258, 100'000};
  EXPECT_EQ(hash_text(delivered_hash(some)), "c679c9f8fbe7b90e");
  EXPECT_EQ(delivered_hash(std::span(some).subspan(1), delivered_hash(std::span(some).first(1))),
            delivered_hash(some));
  EXPECT_EQ(parse_hash(hash_text(delivered_hash(some))), delivered_hash(some));
  for (const char* wrong : {"", "12", "cbf29ce48422232", "cbf29ce48422232g", "cbf29ce4842223255"}) {
    EXPECT_FALSE(parse_hash(wrong)) << wrong;
  }
}

TEST(Ledger, AConnectionHasOneCursor) {
  Ledger l = ledger();
  l.append(ids("ab"), Finish::none);
  l.attach(one, {TokenIndex{2}});
  l.attach(one, {});
  ASSERT_EQ(l.subscribers().size(), 1u);
  EXPECT_EQ(l.take_delta(l.subscribers()[0])->text, "ab");
  EXPECT_TRUE(l.detach(one));
  EXPECT_FALSE(l.detach(one));
}

TEST(Ledger, KnowsOnlyIdsOfItsVocabulary) {
  Ledger l = ledger();
  EXPECT_TRUE(l.knows({.ids = ids("a")}));
  EXPECT_FALSE(l.knows({.ids = {256}}));
  EXPECT_FALSE(l.knows({.ids = {-1}}));
}

TEST(LedgerDeathTest, EndsOnce) {
  Ledger l = ledger();
  l.close({.finish_reason = "stop"});
  EXPECT_DEATH(l.close({.finish_reason = "length"}), "exactly once");
}

}  // namespace
}  // namespace aorta::admission
