#include "actors/fronts/text_api.hpp"

#include <gtest/gtest.h>

#include "engine/fake/fake_text_model.hpp"
#include "tests/actors/fronts/scripted_port.hpp"

namespace aorta::fronts {
namespace {

using nlohmann::json;

// The fake model's ids are bytes, and its template is "role: content\n".
class TextApiTest : public ::testing::Test {
 protected:
  TextApiTest() { port.model = engine::make_fake_text_model({.context_tokens = 100}); }
  json tokens_of(const std::string& body) {
    return std::get<TextAnswer>(tokenize(json::parse(body), port)).body;
  }
  std::string param(const std::string& body, auto call) {
    return std::get<ApiError>(call(json::parse(body), port)).param;
  }
  ScriptedPort port;
};

TEST_F(TextApiTest, TokenizesAPrompt) {
  const json got = tokens_of(R"({"prompt":"hé","return_token_strs":true})");
  EXPECT_EQ(got["count"], 3);
  EXPECT_EQ(got["max_model_len"], 100);
  EXPECT_EQ(got["tokens"], json({104, 0xC3, 0xA9}));
  EXPECT_EQ(got["token_strs"], json({"h", "\\xc3", "\\xa9"}));
  EXPECT_EQ(tokens_of(R"({"prompt":""})")["count"], 0);
}

TEST_F(TextApiTest, TokenizesMessagesAsTheyAreAnswered) {
  const std::string messages = R"("messages":[{"role":"user","content":"hi"}])";
  const auto text = [&](const std::string& more) {
    json answer = tokens_of("{" + messages + more + "}");
    return std::get<TextAnswer>(detokenize({{"tokens", answer["tokens"]}}, port)).body["prompt"];
  };
  EXPECT_EQ(text(""), "user: hi\nassistant: ");
  EXPECT_EQ(text(R"(,"add_generation_prompt":false)"), "user: hi\n");
}

TEST_F(TextApiTest, BrokenTextIsStillText) {
  const auto answer = detokenize(json::parse(R"({"tokens":[104,195]})"), port);
  EXPECT_EQ(std::get<TextAnswer>(answer).body["prompt"], "h\uFFFD");
}

TEST_F(TextApiTest, NamesWhatIsWrong) {
  EXPECT_EQ(param("{}", tokenize), "prompt");
  EXPECT_EQ(param(R"({"prompt":7})", tokenize), "prompt");
  EXPECT_EQ(param(R"({"prompt":"x","messages":[]})", tokenize), "prompt");
  EXPECT_EQ(param(R"({"messages":[{"role":"king","content":""}]})", tokenize), "messages[0].role");
  EXPECT_EQ(param(R"({"prompt":")" + std::string(101, 'x') + "\"}", tokenize), "prompt");
  EXPECT_EQ(param("{}", detokenize), "tokens");
  EXPECT_EQ(param(R"({"tokens":[256]})", detokenize), "tokens");
  EXPECT_EQ(param(R"({"tokens":["x"]})", detokenize), "tokens");
  EXPECT_EQ(param("[]", detokenize), "");
  port.model = nullptr;
  const auto missing = tokenize(json::parse(R"({"prompt":"x","model":"m"})"), port);
  EXPECT_EQ(std::get<ApiError>(missing).status, 404);
}

TEST_F(TextApiTest, SaysWhatItIgnored) {
  const auto answer = tokenize(json::parse(R"({"prompt":"x","colour":1})"), port);
  EXPECT_EQ(std::get<TextAnswer>(answer).ignored, (std::vector<std::string>{"colour"}));
}

}  // namespace
}  // namespace aorta::fronts
