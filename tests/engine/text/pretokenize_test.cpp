#include "engine/text/pretokenize.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "engine/text/unicode.hpp"

namespace aorta::engine {
namespace {

using Pieces = std::vector<std::string>;

Pieces pieces_of(std::string_view name, std::string_view text) {
  const auto pre = PreTokenizer::of(name);
  if (!pre) return {pre.error().message};
  Pieces pieces;
  while (!text.empty()) {
    pieces.emplace_back(text.substr(0, pre->next(text)));
    text.remove_prefix(pieces.back().size());
  }
  return pieces;
}

TEST(PreTokenizer, Gpt2) {
  EXPECT_EQ(pieces_of("gpt-2", "I'll can't CAN'T"),
            (Pieces{"I", "'ll", " can", "'t", " CAN", "'", "T"}));
  EXPECT_EQ(pieces_of("gpt-2", "a  b\n\n c  "), (Pieces{"a", " ", " b", "\n\n", " c", "  "}));
  EXPECT_EQ(pieces_of("gpt-2", "x 123, 4!?é"), (Pieces{"x", " 123", ",", " 4", "!?", "é"}));
  EXPECT_EQ(pieces_of("gpt-2", "\tb\n"), (Pieces{"\t", "b", "\n"}));
}

TEST(PreTokenizer, SmolLmCutsNumbersOutFirst) {
  EXPECT_EQ(pieces_of("smollm", "a   12b"), (Pieces{"a", "   ", "1", "2", "b"}));
  EXPECT_EQ(pieces_of("smollm", "v1.5 ½"), (Pieces{"v", "1", ".", "5", " ", "½"}));
  EXPECT_EQ(pieces_of("smollm", " x '1s"), (Pieces{" x", " '", "1", "s"}));
}

TEST(PreTokenizer, Qwen2) {
  EXPECT_EQ(pieces_of("qwen2", "I'LL say:hello 123"),
            (Pieces{"I", "'LL", " say", ":hello", " ", "1", "2", "3"}));
  EXPECT_EQ(pieces_of("qwen2", "a!!\n\n  b"), (Pieces{"a", "!!\n\n", " ", " b"}));
  EXPECT_EQ(pieces_of("qwen2", "a \n \n b"), (Pieces{"a", " \n \n", " b"}));
  EXPECT_EQ(pieces_of("qwen2", "a\tb \t c\t"), (Pieces{"a", "\tb", " \t", " c", "\t"}));
  EXPECT_EQ(pieces_of("deepseek-r1-qwen", "  (x)  "), (Pieces{" ", " (", "x", ")", "  "}));
}

TEST(PreTokenizer, Llama3TakesThreeDigits) {
  EXPECT_EQ(pieces_of("llama-bpe", "12345 67"), (Pieces{"123", "45", " ", "67"}));
  EXPECT_TRUE(PreTokenizer::of("llama-bpe")->whole_piece_first());
  EXPECT_FALSE(PreTokenizer::of("qwen2")->whole_piece_first());
}

TEST(PreTokenizer, BrokenBytesAreSymbols) {
  EXPECT_EQ(pieces_of("qwen2", "a\xFF\xC3 b"), (Pieces{"a", "\xFF\xC3", " b"}));
}

TEST(PreTokenizer, NamesTheUnknown) {
  const auto pre = PreTokenizer::of("tekken");
  ASSERT_FALSE(pre);
  EXPECT_EQ(pre.error().code, ErrorCode::unsupported);
  EXPECT_NE(pre.error().message.find("\"tekken\""), std::string::npos);
}

TEST(Unicode, DecodesWhatIsWellFormedOnly) {
  for (std::uint32_t c = 1; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 97) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    const Utf8Char decoded = decode_utf8(text);
    ASSERT_EQ(decoded.status, Utf8Status::valid) << c;
    ASSERT_EQ(decoded.codepoint, c);
    ASSERT_EQ(decoded.length, text.size());
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      const Utf8Char begun = decode_utf8(std::string_view(text).substr(0, cut));
      ASSERT_EQ(begun.status, Utf8Status::incomplete);
      ASSERT_EQ(begun.length, cut);
    }
  }
  for (const char* broken : {"\x80", "\xC0\x80", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                             "\xF4\x90\x80\x80", "\xF8\x88\x80\x80", "\xFF"}) {
    EXPECT_EQ(decode_utf8(broken).status, Utf8Status::broken);
    EXPECT_EQ(decode_utf8(broken).length, 1u);
  }
}

}  // namespace
}  // namespace aorta::engine
