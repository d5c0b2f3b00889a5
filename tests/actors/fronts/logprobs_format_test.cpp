#include "actors/fronts/logprobs_format.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace aorta::fronts {
namespace {

using nlohmann::json;

// " h", then the two halves of "é".
const std::vector<TokenLogprobs> tokens = {
    {{" h", -0.5f}, {{" h", -0.5f}, {"x", -2.0f}}},
    {{"\xC3", -1.0f}, {{"a", -0.25f}}},
    {{"\xA9", -std::numeric_limits<float>::infinity()}, {}},
};

TEST(LogprobsFormat, ChatsHaveAnEntryForEachToken) {
  const json content = logprobs_content(tokens);
  ASSERT_EQ(content.size(), 3u);
  EXPECT_EQ(content[0],
            json::parse(R"({"token":" h","logprob":-0.5,"bytes":[32,104],"top_logprobs":[
    {"token":" h","logprob":-0.5,"bytes":[32,104]},{"token":"x","logprob":-2.0,"bytes":[120]}]})"));
  EXPECT_EQ(content[1]["token"], "\\xc3");
  EXPECT_EQ(content[1]["bytes"], json({0xC3}));
  EXPECT_EQ(content[2]["logprob"], -9999.0);
  EXPECT_TRUE(content[2]["top_logprobs"].empty());
}

TEST(LogprobsFormat, CompletionsHaveLists) {
  std::size_t offset = 10;
  const json lists = legacy_logprobs(tokens, offset);
  EXPECT_EQ(lists["tokens"], json({" h", "bytes:\\xc3", "bytes:\\xa9"}));
  EXPECT_EQ(lists["token_logprobs"], json({-0.5, -1.0, -9999.0}));
  EXPECT_EQ(lists["top_logprobs"][0], json({{" h", -0.5}, {"x", -2.0}}));
  EXPECT_EQ(lists["top_logprobs"][1], json({{"a", -0.25}, {"bytes:\\xc3", -1.0}}));
  EXPECT_EQ(lists["text_offset"], json({10, 12, 13}));  // é begins at 12; it is one character
  EXPECT_EQ(offset, 13u);
}

}  // namespace
}  // namespace aorta::fronts
