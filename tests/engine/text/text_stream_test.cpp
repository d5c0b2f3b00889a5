// TextStream over a model of our own: one id per entry of a list of byte strings.
#include <gtest/gtest.h>

#include <random>

#include "engine/text/text_model.hpp"
#include "engine/text/unicode.hpp"

namespace aorta::engine {
namespace {

class ListModel final : public TextModel {
 public:
  static constexpr TokenId control = 1000, control_end_think = 999;
  explicit ListModel(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {}
  std::uint32_t vocabulary() const override { return 1001; }
  std::uint32_t context_tokens() const override { return 1024; }
  std::vector<TokenId> encode(std::string_view, bool, bool) const override { return {}; }
  std::string_view bytes(TokenId id) const override {
    if (id == control) return "<|control|>";
    if (id == control_end_think) return end_think_tag;
    return static_cast<std::size_t>(id) < tokens_.size() ? tokens_[id] : std::string_view();
  }
  bool is_control(TokenId id) const override { return id >= control_end_think; }
  const std::vector<TokenId>& stop_ids() const override { return stop_ids_; }
  bool thinks() const override { return true; }
  std::size_t longest_token_bytes() const override { return 16; }
  Result<std::string> render(const std::vector<ChatMessage>&, bool) const override {
    return std::string();
  }

 private:
  std::vector<std::string> tokens_;
  std::vector<TokenId> stop_ids_;
};

using Stops = std::vector<std::string>;

TextStream stream_of(std::vector<std::string> tokens, Stops stops = {},
                     Reasoning reasoning = Reasoning::never) {
  return TextStream(std::make_shared<ListModel>(std::move(tokens)), std::move(stops), reasoning);
}

// The text of `pieces`, one id each, to its end.
TextStream finished(const std::vector<std::string>& pieces, const Stops& stops = {}) {
  TextStream stream = stream_of(pieces, stops);
  for (std::size_t i = 0; i < pieces.size(); ++i) stream.append(static_cast<TokenId>(i));
  stream.finish();
  return stream;
}

// All ways to cut `text` into up to three pieces.
std::vector<std::vector<std::string>> cuts(const std::string& text) {
  std::vector<std::vector<std::string>> all;
  for (std::size_t a = 0; a <= text.size(); ++a) {
    for (std::size_t b = a; b <= text.size(); ++b) {
      all.push_back({text.substr(0, a), text.substr(a, b - a), text.substr(b)});
    }
  }
  return all;
}

TEST(TextStream, WithholdsPartialCharacters) {
  TextStream stream = stream_of({"a\xF0\x9F", "\x98", "\x80", "\xC3"});
  EXPECT_FALSE(stream.append(0));
  EXPECT_EQ(stream.text(), "a");
  stream.append(1);
  EXPECT_EQ(stream.text(), "a");
  stream.append(2);
  EXPECT_EQ(stream.text(), "a\xF0\x9F\x98\x80");
  stream.append(3);
  EXPECT_EQ(stream.text(), "a\xF0\x9F\x98\x80");
  stream.finish();
  EXPECT_EQ(stream.text(), "a\xF0\x9F\x98\x80\uFFFD");
}

TEST(TextStream, ReplacesBrokenBytesHoweverCut) {
  // One U+FFFD for each longest beginning of a character (Unicode 15, table 3-8 and others).
  const std::pair<std::string, std::string> cases[] = {
      {"a\x80"
       "b",
       "a\uFFFDb"},
      {"\xF0\x9F\x98z", "\uFFFDz"},
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "\uFFFD\uFFFD\uFFFD\uFFFD\x41"},
      {"\xC0\xAF\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"},
      {"\xF4\x91\x92\x93\xFF", "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"},
      {"\xE2\x82", "\uFFFD"},
      {"\xE2\x82\xC3\xA9", "\uFFFD\u00E9"},
  };
  for (const auto& [bytes, text] : cases) {
    for (const auto& pieces : cuts(bytes)) EXPECT_EQ(finished(pieces).text(), text) << bytes;
  }
}

TEST(TextStream, ControlTokensHaveNoText) {
  TextStream stream = stream_of({"x\xC3", "\xA9"});
  for (const TokenId id : {0, ListModel::control, 1, 77, -5}) stream.append(id);
  stream.finish();
  EXPECT_EQ(stream.text(), "x\u00E9");
}

TEST(TextStream, StopsBeforeAStopStringAtEverySplit) {
  const Stops stops = {"STOP", "\n\nUser:", "é!"};
  for (const std::string& stop : stops) {
    for (const auto& pieces : cuts("ab S\n" + stop + "tail STOP")) {
      const TextStream stream = finished(pieces, stops);
      EXPECT_TRUE(stream.stopped());
      EXPECT_EQ(stream.text(), "ab S\n");
    }
  }
}

TEST(TextStream, ReturnsTrueWhenTheStopStringIsComplete) {
  TextStream stream = stream_of({"abS", "TO", "Px", "y"}, {"STOP"});
  EXPECT_FALSE(stream.append(0));
  EXPECT_EQ(stream.text(), "ab");
  EXPECT_FALSE(stream.append(1));
  EXPECT_EQ(stream.text(), "ab");
  EXPECT_TRUE(stream.append(2));
  EXPECT_EQ(stream.text(), "ab");
  EXPECT_TRUE(stream.append(3));
  stream.finish();
  EXPECT_EQ(stream.text(), "ab");
}

TEST(TextStream, ReleasesWhatWasNoStopString) {
  TextStream stream = stream_of({"xST", "Oz", "ST"}, {"STOP"});
  stream.append(0);
  EXPECT_EQ(stream.text(), "x");
  stream.append(1);
  EXPECT_EQ(stream.text(), "xSTOz");
  stream.append(2);
  EXPECT_EQ(stream.text(), "xSTOz");
  stream.finish();
  EXPECT_EQ(stream.text(), "xSTOzST");
  EXPECT_FALSE(stream.stopped());
}

TEST(TextStream, TheStopStringThatEndsFirstWins) {
  for (const auto& pieces : cuts("xabcdab")) {
    EXPECT_EQ(finished(pieces, {"abcd", "bc"}).text(), "xa");
    EXPECT_EQ(finished(pieces, {"bc", "abc"}).text(), "x");  // ending together: the longer
    EXPECT_EQ(finished(pieces, {"d", "zz", "abx"}).text(), "xabc");
  }
  for (const auto& pieces : cuts("aabaabaac")) {
    EXPECT_EQ(finished(pieces, {"aabaac"}).text(), "aab");  // overlaps itself
  }
}

TEST(TextStream, IgnoresStopStringsThatCannotOccur) {
  EXPECT_EQ(finished({"abc"}, {"", "\xA9", "b\xFF"}).text(), "abc");
  EXPECT_EQ(finished({"a\xFF"}, {"\uFFFD"}).text(), "a");
}

TEST(TextStream, ThinkingIsApartAndCounted) {
  TextStream stream = stream_of({"<think>", "\n", "a\xC3", "\xA9 ", "\n</th", "ink>\n", "\nb", "."},
                                {}, Reasoning::possible);
  const std::pair<const char*, const char*> shown[] = {
      {"", ""}, {"", ""}, {"a", ""}, {"aé", ""}, {"aé", ""}, {"aé", ""}, {"aé", "b"}, {"aé", "b."}};
  for (TokenId id = 0; id < 8; ++id) {
    stream.append(id);
    EXPECT_EQ(stream.reasoning(), shown[id].first) << id;
    EXPECT_EQ(stream.text(), shown[id].second) << id;
  }
  EXPECT_EQ(stream.reasoning_tokens(), 6u);
  stream.finish();
  EXPECT_EQ(stream.reasoning(), "aé");
  EXPECT_EQ(stream.text(), "b.");
}

TEST(TextStream, ThinkingThatDoesNotComeIsNotCounted) {
  TextStream stream = stream_of({"<thi", "s is", " text"}, {}, Reasoning::possible);
  stream.append(0);
  EXPECT_EQ(stream.text(), "");
  stream.append(1);
  EXPECT_EQ(stream.text(), "<this is");
  stream.append(2);
  stream.finish();
  EXPECT_EQ(stream.text(), "<this is text");
  EXPECT_EQ(stream.reasoning_tokens(), 0u);
}

TEST(TextStream, StopStringsCountInTheTextOnly) {
  for (const auto& pieces : cuts("Stop, \n\nstop </think>\n\nab stop c")) {
    TextStream stream = stream_of(pieces, {"\n\n", "stop", "</think>"}, Reasoning::open);
    for (std::size_t i = 0; i < pieces.size(); ++i) stream.append(static_cast<TokenId>(i));
    stream.finish();
    EXPECT_EQ(stream.reasoning(), "Stop, \n\nstop");
    EXPECT_EQ(stream.text(), "ab ");
    EXPECT_TRUE(stream.stopped());
  }
}

TEST(TextStream, ControlTokensEndThinkingToo) {
  TextStream stream = stream_of({"a", "b\xC3"}, {}, Reasoning::open);
  for (const TokenId id : {0, ListModel::control_end_think, 1, ListModel::control_end_think}) {
    stream.append(id);
  }
  stream.finish();
  EXPECT_EQ(stream.reasoning(), "a");
  EXPECT_EQ(stream.text(), "b\uFFFD");
  EXPECT_EQ(stream.reasoning_tokens(), 2u);
}

TEST(TextStream, ACutOffCharacterBelongsToTheThinkingItIsIn) {
  TextStream stream = stream_of({"a </thi\xC3"}, {}, Reasoning::open);
  stream.append(0);
  stream.finish();
  EXPECT_EQ(stream.reasoning(), "a </thi\uFFFD");
  EXPECT_EQ(stream.text(), "");
  EXPECT_EQ(stream.reasoning_tokens(), 1u);
}

// What no implementation of ours is needed for: bytes to text, then cut at the stop string that
// ends first.
std::string expected_text(std::string_view bytes, const Stops& stops) {
  std::string text;
  while (!bytes.empty()) {
    const Utf8Char c = decode_utf8(bytes);
    text += c.status == Utf8Status::valid ? bytes.substr(0, c.length) : replacement_character;
    bytes.remove_prefix(c.length);
  }
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& stop : stops) {
      if (std::string_view(text).substr(0, end).ends_with(stop)) {
        longest = std::max(longest, stop.size());
      }
    }
    if (longest > 0) return text.substr(0, end - longest);
  }
  return text;
}

TEST(TextStream, EqualBytesGiveEqualTextHoweverCut) {
  const std::string alphabet[] = {"a",        "b",        "ab",   "\xC3", "\xA9", "\xF0\x9F",
                                  "\x98\x80", "\xE2\x82", "\xAC", "\xFF", "é",    " "};
  std::mt19937 random(7);
  for (int round = 0; round < 5000; ++round) {
    Stops stops;
    for (unsigned i = 0; i < random() % 3; ++i) {
      std::string stop;
      for (unsigned j = 0; j < 1 + random() % 4; ++j) stop += random() % 3 ? "a" : "b";
      stops.push_back(stop);
    }
    std::string bytes;
    while (bytes.size() < 30) bytes += alphabet[random() % std::size(alphabet)];
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t length = 1 + random() % 6;
      pieces.push_back(bytes.substr(at, length));
      at += length;
    }
    const TextStream cut = finished(pieces, stops);
    EXPECT_EQ(cut.text(), expected_text(bytes, stops)) << "round " << round;

    // Only grows, and a second stream fed the same ids later says the same at every id.
    TextStream first = stream_of(pieces, stops), again = stream_of(pieces, stops);
    std::string shown;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      first.append(static_cast<TokenId>(i));
      ASSERT_TRUE(first.text().starts_with(shown));
      shown = first.text();
      ASSERT_TRUE(is_utf8(shown));
      again.append(static_cast<TokenId>(i));
      ASSERT_EQ(again.text(), shown);
    }
  }
}

}  // namespace
}  // namespace aorta::engine
