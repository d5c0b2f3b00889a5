// Every tokenizer, detokenizer and chat case of the goldens, on the files they were made with.
#include "tests/engine/text/golden.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace aorta::engine {
namespace {

using nlohmann::json;
using Ids = std::vector<TokenId>;

// A model whose goldens lie in the folder `golden`.
struct Model {
  const char* golden;
  std::string path;
};

class GoldenText : public testing::TestWithParam<Model> {
 protected:
  void SetUp() override {
    model_ = open_if_present(GetParam().path);
    if (!model_) GTEST_SKIP() << "no usable model at " << GetParam().path;
  }
  json golden(const std::string& file) const {
    return read_golden(std::string(GetParam().golden) + "/" + file);
  }
  std::string decode(const Ids& ids) const {
    std::string bytes;
    for (const TokenId id : ids) bytes += model_->bytes(id);
    return bytes;
  }
  std::shared_ptr<const TextModel> model_;
};

// The case's ids, or those of another implementation that it accepts as well.
bool accepts(const json& c, const json& ids) {
  return c.at("ids") == ids || (c.contains("also_accept") && c["also_accept"] == ids);
}

TEST_P(GoldenText, TokenizesEveryCase) {
  const json cases = golden("tokenizer.json").at("cases");
  EXPECT_GE(cases.size(), 290u);
  for (const json& c : cases) {
    const std::string text = c.at("text");
    const Ids ids = model_->encode(text, true, false);
    EXPECT_TRUE(accepts(c, ids)) << c.at("id") << " " << json(ids) << " for " << c;
    if (c.contains("ids_parse_special_false")) {
      EXPECT_EQ(json(model_->encode(text, false, false)), c["ids_parse_special_false"]) << c["id"];
    }
  }
}

TEST_P(GoldenText, GivesBackTheBytesOfEveryCase) {
  const json cases = golden("tokenizer.json").at("cases");
  for (const json& c : cases) {
    const std::string bytes = decode(model_->encode(c.at("text").get<std::string>(), true, false));
    const bool lossless = c.value("lossless", true);
    EXPECT_EQ(bytes, lossless ? c["text"].get<std::string>() : from_hex(c.at("decoded_hex")))
        << c.at("id");
  }
}

TEST_P(GoldenText, RendersEveryConversation) {
  const json cases = golden("chat.json").at("cases");
  EXPECT_GE(cases.size(), 17u);
  for (const json& c : cases) {
    const auto messages = messages_of(c.at("messages"));
    const auto rendered = model_->render(messages, true);
    ASSERT_TRUE(rendered) << rendered.error().message;
    EXPECT_EQ(*rendered, c.at("rendered").get<std::string>()) << c;
    EXPECT_EQ(json(model_->encode(*rendered, true, true)), c.at("ids")) << c;
    if (c.contains("rendered_no_generation_prompt")) {
      const auto closed = model_->render(messages, false);
      ASSERT_TRUE(closed) << closed.error().message;
      EXPECT_EQ(*closed, c["rendered_no_generation_prompt"].get<std::string>()) << c;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenText,
                         testing::Values(Model{"smollm2", demo_model_path()},
                                         Model{"r1distill",
                                               golden_path("vocab/r1-distill-qwen-vocab.gguf")}),
                         [](const auto& info) { return std::string(info.param.golden); });

TEST(GoldenSmolLm2, DetokenizesEveryCase) {
  const auto model = open_if_present(demo_model_path());
  if (!model) GTEST_SKIP() << "no usable model at " << demo_model_path();
  const json cases = read_golden("smollm2/detokenize.json").at("cases");
  EXPECT_EQ(cases.size(), 62u);
  for (const json& c : cases) {
    std::string bytes;
    for (const TokenId id : c.at("ids")) bytes += model->bytes(id);
    EXPECT_EQ(bytes, from_hex(c.at("bytes_hex"))) << c.at("id");
  }
}

TEST(GoldenSmolLm2, KnowsItsSpecialTokens) {
  const auto model = open_if_present(demo_model_path());
  if (!model) GTEST_SKIP() << "no usable model at " << demo_model_path();
  EXPECT_EQ(model->vocabulary(), 49152u);
  EXPECT_EQ(model->context_tokens(), 8192u);
  EXPECT_EQ(model->stop_ids(), Ids{2});
  EXPECT_EQ(model->bytes(2), "<|im_end|>");
  EXPECT_TRUE(model->is_control(2));
  EXPECT_FALSE(model->is_control(260));
  EXPECT_EQ(model->bytes(-1), "");
  EXPECT_EQ(model->bytes(49152), "");
}

TEST(GoldenR1Distill, WritesOneBos) {
  const auto model = open_if_present(golden_path("vocab/r1-distill-qwen-vocab.gguf"));
  ASSERT_TRUE(model);
  const Ids plain = model->encode("Hi", true, true);
  ASSERT_EQ(plain.size(), 2u);
  EXPECT_EQ(plain[0], 151646);
  EXPECT_EQ(model->encode("<｜begin▁of▁sentence｜>Hi", true, true), plain);
  EXPECT_EQ(model->encode("Hi", true, false), Ids{plain[1]});
}

// The answer of the golden conversation that has thinking in it, as the model would stream it:
// opening <think> itself, and after a template that has opened it.
TEST(GoldenR1Distill, ThinksApart) {
  const auto model = open_if_present(golden_path("vocab/r1-distill-qwen-vocab.gguf"));
  ASSERT_TRUE(model);
  EXPECT_TRUE(model->thinks());
  const auto cases = read_golden("r1distill/chat.json").at("cases");
  const auto thinking = std::find_if(cases.begin(), cases.end(), [](const auto& c) {
    return c.at("messages").dump().find("<think>") != std::string::npos;
  });
  ASSERT_NE(thinking, cases.end());
  const auto messages = messages_of(thinking->at("messages"));
  const std::string answer = messages.at(1).content;
  const std::string prompt = *model->render({messages.at(0)}, true);
  const auto streamed = [&](const std::string& rendered, const std::string& text) {
    TextStream stream(model, {}, reasoning_after(rendered));
    for (const TokenId id : model->encode(text, true, false)) stream.append(id);
    stream.finish();
    return stream;
  };
  for (const TextStream& stream :
       {streamed(prompt, answer), streamed(prompt + "<think>\n", answer.substr(8))}) {
    EXPECT_EQ(stream.reasoning(), "Easy.");
    EXPECT_EQ(stream.text(), "2");
  }
  EXPECT_EQ(streamed(prompt, "2").text(), "2");
}

}  // namespace
}  // namespace aorta::engine
