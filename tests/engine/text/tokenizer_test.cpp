// The tokenizer's short cuts (its cache, its cuts where no token spans) against merging every piece
// whole by the definition.
#include "engine/model/gguf.hpp"
#include "engine/text/tokenizer.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "engine/text/byte_alphabet.hpp"
#include "engine/text/joins.hpp"
#include "engine/text/unicode.hpp"
#include "tests/engine/batch/test_seed.hpp"
#include "tests/engine/text/golden.hpp"

namespace aorta::engine {
namespace {

using Ids = std::vector<TokenId>;

// Byte-pair encoding by its definition, on the spellings in the file.
class Definition {
 public:
  explicit Definition(const GgufFile& file)
      : pre_(*PreTokenizer::of(*file.get_string("tokenizer.ggml.pre"))) {
    const auto tokens = file.get_strings("tokenizer.ggml.tokens");
    const auto merges = file.get_strings("tokenizer.ggml.merges");
    for (const auto token : *tokens) {
      ids_.emplace(token, static_cast<TokenId>(ids_.size()));
    }
    int rank = 0;
    for (const auto merge : *merges) {
      ranks_.emplace(merge, rank++);
    }
  }

  Ids encode(std::string_view text) const {
    Ids ids;
    while (!text.empty()) {
      const std::size_t size = pre_.next(text);
      for (const std::string& symbol : merged(text.substr(0, size))) ids.push_back(ids_.at(symbol));
      text.remove_prefix(size);
    }
    return ids;
  }

 private:
  std::vector<std::string> merged(std::string_view piece) const {
    std::vector<std::string> symbols;
    for (const char byte : piece) {
      const std::string symbol = spell_byte(static_cast<std::uint8_t>(byte));
      if (ids_.contains(symbol)) symbols.push_back(symbol);  // the others vanish
    }
    for (;;) {
      int best = INT32_MAX;
      std::size_t at = 0;
      for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
        const auto found = ranks_.find(symbols[i] + " " + symbols[i + 1]);
        if (found != ranks_.end() && found->second < best) best = found->second, at = i;
      }
      if (best == INT32_MAX) return symbols;
      symbols[at] += symbols[at + 1];
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
  }

  PreTokenizer pre_;
  std::map<std::string, TokenId, std::less<>> ids_;
  std::map<std::string, int, std::less<>> ranks_;
};

// Tokens and characters of many scripts run together, some bytes of them lost.
std::string random_text(std::mt19937_64& random, const Vocabulary& vocabulary) {
  std::string text;
  const std::size_t parts = 1 + random() % 30;
  for (std::size_t i = 0; i < parts; ++i) {
    switch (random() % 6) {
      case 0:
      case 1: {
        const auto id = static_cast<TokenId>(random() % vocabulary.size());
        if (vocabulary.type(id) == TokenType::normal) text += vocabulary.bytes(id);
        break;
      }
      case 2:
        append_utf8(text, 0x4E00 + random() % 0x5000);
        [[fallthrough]];
      case 3:
        append_utf8(text, 0x4E00 + random() % 0x400);
        break;
      case 4:
        append_utf8(text, 0x20 + random() % 0x600);
        break;
      default:
        text += static_cast<char>(random());
    }
  }
  return text;
}

class TokenizerFiles : public testing::TestWithParam<std::string> {};

TEST_P(TokenizerFiles, EncodesByTheDefinition) {
  if (!std::ifstream(GetParam())) GTEST_SKIP() << "no model at " << GetParam();
  const auto file = *GgufFile::open(GetParam());
  const auto cached_read = Tokenizer::read(*file);
  const Tokenizer& cached = **cached_read;
  const auto small_read = Tokenizer::read(*file, 16);
  const Tokenizer& small = **small_read;
  const auto uncached_read = Tokenizer::read(*file, 0);
  const Tokenizer& uncached = **uncached_read;
  const Definition definition(*file);
  const std::uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 400; ++round) {
    const std::string text = random_text(random, cached.vocabulary());
    if (cached.encode(text, false, false) != cached.encode(text, true, false)) continue;
    const Ids expected = definition.encode(text);
    ASSERT_EQ(cached.encode(text, true, false), expected) << "seed " << seed << " round " << round;
    ASSERT_EQ(small.encode(text, true, false), expected) << "seed " << seed << " round " << round;
    ASSERT_EQ(uncached.encode(text, true, false), expected) << seed << " round " << round;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, TokenizerFiles,
                         testing::Values(golden_path("vocab/r1-distill-qwen-vocab.gguf"),
                                         demo_model_path()),
                         [](const auto& info) { return "file" + std::to_string(info.index); });

TEST(Joins, CutWhereNoTokenSpans) {
  Joins joins;
  joins.add("中国");
  joins.add("ab");
  EXPECT_EQ(joins.part("中国人"), std::string("中国").size());
  EXPECT_EQ(joins.part("人中国"), std::string("人").size());
  EXPECT_EQ(joins.part("abc"), 2u);
  EXPECT_EQ(joins.part("中"), 3u);
}

TEST(Joins, PartsOfCharactersJoinAllThatTheyMayBelongTo) {
  Joins joins;
  const std::string country = "国", person = "人";
  joins.add("中" + country.substr(0, 1));  // 中 and whatever begins as 国 does
  joins.add(country.substr(2) + "是");     // whatever ends as 国 does, and 是
  EXPECT_EQ(joins.part("中国"), 6u);
  EXPECT_EQ(joins.part("国是"), 6u);
  EXPECT_EQ(joins.part(person + "是"), 3u);
}

TEST(Joins, NothingIsCutAroundBrokenBytes) {
  const Joins joins;
  EXPECT_EQ(joins.part("a\x80z"), 3u);
  EXPECT_EQ(joins.part("\xE4z"), 2u);
  EXPECT_EQ(joins.part("az"), 1u);
}

}  // namespace
}  // namespace aorta::engine
