// ReasoningSplitter on whole texts and on every cut of them.
#include "engine/text/reasoning.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace aorta::engine {
namespace {

struct Split {
  std::string reasoning, text;
  bool began = false;
  bool operator==(const Split&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Split& s) {
  return out << "[" << s.reasoning << "][" << s.text << "] " << s.began;
}

Split split_pieces(Reasoning begin, const std::vector<std::string>& pieces) {
  ReasoningSplitter splitter(begin);
  Split split;
  std::string shown;
  for (const std::string& piece : pieces) {
    split.text += splitter.feed(piece);
    EXPECT_TRUE(splitter.reasoning().starts_with(shown));
    EXPECT_TRUE(split.text.empty() || splitter.in_text());
    shown = splitter.reasoning();
  }
  split.text += splitter.finish();
  split.text += splitter.finish();  // a second time releases nothing
  split.reasoning = splitter.reasoning();
  split.began = splitter.began();
  return split;
}

// Split the same whole and in any two pieces.
Split split(Reasoning begin, const std::string& text) {
  const Split whole = split_pieces(begin, {text});
  for (std::size_t at = 0; at <= text.size(); ++at) {
    EXPECT_EQ(split_pieces(begin, {text.substr(0, at), text.substr(at)}), whole) << at;
  }
  return whole;
}

TEST(Reasoning, FollowsFromThePrompt) {
  EXPECT_EQ(reasoning_after("Hi<|Assistant|><think>\n"), Reasoning::open);
  EXPECT_EQ(reasoning_after("Hi<|Assistant|><think>"), Reasoning::open);
  EXPECT_EQ(reasoning_after("Hi<|Assistant|>"), Reasoning::possible);
  EXPECT_EQ(reasoning_after("<think>\n\n</think>\n\n"), Reasoning::possible);
  EXPECT_EQ(reasoning_after(" \n"), Reasoning::possible);
  EXPECT_EQ(reasoning_after(""), Reasoning::possible);
}

TEST(Reasoning, NeverMeansTheWholeTextAsItIs) {
  const std::string text = " <think>\na</think> b";
  EXPECT_EQ(split(Reasoning::never, text), (Split{"", text, false}));
}

TEST(Reasoning, TagsAndTheSpaceBesideThemAreInNeither) {
  const Split easy{"Easy.\n\nYes.", "2 \n", true};
  EXPECT_EQ(split(Reasoning::possible, "<think>\nEasy.\n\nYes.\n</think>\n\n2 \n"), easy);
  EXPECT_EQ(split(Reasoning::possible, "\n<think> \r\n\tEasy.\n\nYes.</think>2 \n"), easy);
  EXPECT_EQ(split(Reasoning::open, "Easy.\n\nYes.\n</think>\n\n2 \n"), easy);
  EXPECT_EQ(split(Reasoning::open, "\nEasy.\n\nYes.\n</think>2 \n"), easy);
}

TEST(Reasoning, AnOpenedTagMayBeSaidAgain) {
  EXPECT_EQ(split(Reasoning::open, " <think>\na</think>b"), (Split{"a", "b", true}));
  EXPECT_EQ(split(Reasoning::open, "a<think>b</think>"), (Split{"a<think>b", "", true}));
}

TEST(Reasoning, MayBeEmpty) {
  const Split none{"", "b", true};
  EXPECT_EQ(split(Reasoning::possible, "<think>\n\n</think>\n\nb"), none);
  EXPECT_EQ(split(Reasoning::possible, "<think></think>b"), none);
  EXPECT_EQ(split(Reasoning::open, "\n</think>b"), none);
  EXPECT_EQ(split(Reasoning::open, "</think>b"), none);
  EXPECT_EQ(split(Reasoning::open, ""), (Split{"", "", true}));
}

TEST(Reasoning, AnAnswerThatDoesNotBeginWithTheTagIsAllText) {
  for (const std::string text : {"", " ", "Paris.", "\n\n Paris <think>", "<thin", " <thinker>",
                                 "<<think>a</think>", "a</think>b"}) {
    EXPECT_EQ(split(Reasoning::possible, text), (Split{"", text, false})) << text;
  }
}

TEST(Reasoning, ThinkingThatNeverEndsIsAllThinking) {
  EXPECT_EQ(split(Reasoning::open, "a b\n</think \n"), (Split{"a b\n</think \n", "", true}));
  EXPECT_EQ(split(Reasoning::open, " <thi"), (Split{"<thi", "", true}));
  EXPECT_EQ(split(Reasoning::possible, "<think> a \n</thi"), (Split{"a \n</thi", "", true}));
}

TEST(Reasoning, OnlyTheFirstEndCounts) {
  EXPECT_EQ(split(Reasoning::open, "a</think>b</think>\nc<think>d"),
            (Split{"a", "b</think>\nc<think>d", true}));
  EXPECT_EQ(split(Reasoning::open, "a </</think>b"), (Split{"a </", "b", true}));
  EXPECT_EQ(split(Reasoning::open, "a <</ thin</think>b"), (Split{"a <</ thin", "b", true}));
}

// What needs nothing of ours: searching the whole text.
Split expected(Reasoning begin, std::string text) {
  const std::string space = " \n";
  const auto trim_front = [&](std::string& s) {
    s.erase(0, std::min(s.find_first_not_of(space), s.size()));
  };
  std::string head = text;
  trim_front(head);
  const bool said = head.starts_with("<think>");
  if (begin == Reasoning::never || (begin == Reasoning::possible && !said)) return {"", text};
  if (said) head.erase(0, 7);
  trim_front(head);
  const std::size_t end = head.find("</think>");
  if (end == std::string::npos) return {head, "", true};
  std::string answer = head.substr(end + 8);
  trim_front(answer);
  head.resize(end);
  head.resize(head.find_last_not_of(space) + 1);
  return {head, answer, true};
}

TEST(Reasoning, EqualTextsAreSplitEquallyHoweverCut) {
  const std::string alphabet[] = {"a",        " ",  "\n",   "<", "</", "<think>",
                                  "</think>", "th", "ink>", "é", "<t", "</t"};
  std::mt19937 random(11);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::string> pieces;
    std::string text;
    for (unsigned i = 0; i < 1 + random() % 12; ++i) text += alphabet[random() % 12];
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t length = 1 + random() % 4;
      pieces.push_back(text.substr(at, length));
      at += length;
    }
    const auto begin = static_cast<Reasoning>(random() % 3);
    ASSERT_EQ(split_pieces(begin, pieces), expected(begin, text)) << "of " << text;
  }
}

}  // namespace
}  // namespace aorta::engine
