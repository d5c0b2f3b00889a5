#include "actors/admission/ledger.hpp"

#include <gtest/gtest.h>

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

TEST(Ledger, GivesEachSubscriberEachTokenOnce) {
  Ledger l = ledger();
  l.attach(one, TokenIndex{0});
  l.append(ids("ab"), Finish::none);
  auto first = l.take_delta(l.subscribers()[0]);
  EXPECT_EQ(first->text, "ab");
  EXPECT_FALSE(l.take_delta(l.subscribers()[0]));
  l.attach(two, TokenIndex{1});
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

TEST(Ledger, WithheldTextBelongsToTheLastId) {
  Ledger l = ledger({"END"});
  l.attach(one, TokenIndex{0});
  l.append(ids("xE"), Finish::none);
  EXPECT_EQ(l.take_delta(l.subscribers()[0])->text, "x");
  EXPECT_EQ(l.append(ids("N"), Finish::length), Finish::length);
  EXPECT_EQ(l.take_delta(l.subscribers()[0])->text, "EN");
  l.attach(two, TokenIndex{2});
  EXPECT_EQ(l.take_delta(l.subscribers()[1])->text, "EN");
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
    l.attach(one, TokenIndex{next});
    const auto delta = l.take_delta(l.subscribers()[0]);
    const std::string rest = delta ? delta->text : "";
    EXPECT_EQ(answer.substr(answer.size() - rest.size()), rest) << next;
    Ledger prefix = ledger();
    prefix.append(std::span(l.generated()).first(next), Finish::none);
    const std::string shown = next == l.next().value ? l.text() : prefix.text();
    EXPECT_EQ(shown + rest, answer) << next;
  }
}

TEST(Ledger, AConnectionHasOneCursor) {
  Ledger l = ledger();
  l.append(ids("ab"), Finish::none);
  l.attach(one, TokenIndex{2});
  l.attach(one, TokenIndex{0});
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
