#include "actors/fronts/json_text.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace aorta::fronts {
namespace {

std::string error_of(const std::string& text, const JsonLimits& limits = {}) {
  const auto parsed = parse_json(text, limits);
  return parsed.ok() ? "" : parsed.error().message;
}

TEST(JsonText, ReadsWhatIsJson) {
  const auto parsed = parse_json(R"( {"a":[1,2.5,null,true,"\u00e9\ud83d\ude00"],"b":{}} )");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ((*parsed)["a"].size(), 5u);
  EXPECT_EQ((*parsed)["a"][4], "é😀");
  EXPECT_TRUE((*parsed)["b"].empty());
}

TEST(JsonText, NamesWhatIsNot) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "at byte 1"},
      {"{", "at byte 2"},
      {"{} x", "at byte 4"},
      {"{\"a\":01}", "not valid JSON"},
      {"[1,]", "not valid JSON"},
      {"{'a':1}", "not valid JSON"},
      {"[NaN]", "not valid JSON"},
      {"[1e999]", "not valid JSON"},
      {"\"\xff\"", "UTF-8"},
      {"\"\xed\xa0\x80\"", "UTF-8"},  // a surrogate in UTF-8
      {"\"\\ud800\"", "surrogate"},
      {"\"\\udc00\"", "surrogate"},
      {"\"a\nb\"", "control character"},
      {"{\"a\":1,\"a\":2}", "'a' occurs twice"},
      {std::string("[\0]", 3), "not valid JSON"},
  };
  for (const auto& [text, sentence] : cases) {
    EXPECT_NE(error_of(text).find(sentence), std::string::npos) << text << ": " << error_of(text);
  }
}

TEST(JsonText, LimitsDepthBeforeItCosts) {
  EXPECT_EQ(error_of(std::string(64, '[') + std::string(64, ']')), "");
  EXPECT_NE(error_of(std::string(65, '[') + std::string(65, ']')), "");
  for (const char* opening : {"[", "{\"a\":", "[{\"a\":"}) {
    std::string deep;
    while (deep.size() < (4u << 20)) deep += opening;
    EXPECT_NE(error_of(deep).find("nested deeper than 64"), std::string::npos);
  }
}

TEST(JsonText, LimitsValues) {
  std::string list = "[0";
  for (int i = 0; i < 999; ++i) list += ",0";
  EXPECT_EQ(error_of(list + "]", {64, 1001}), "");
  EXPECT_NE(error_of(list + "]", {64, 1000}).find("more than 1000 values"), std::string::npos);
}

TEST(JsonText, SentencesStayShort) {
  EXPECT_LT(error_of("[\"" + std::string(1 << 20, 'x')).size(), 300u);
  EXPECT_LT(error_of("{\"" + std::string(9999, 'k') + "\":1,\"" + std::string(9999, 'k') + "\":2}")
                .size(),
            300u);
}

TEST(JsonText, WritesBrokenBytesAsReplacements) {
  EXPECT_EQ(dump_json(nlohmann::json("a\xff")), "\"a\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace aorta::fronts
