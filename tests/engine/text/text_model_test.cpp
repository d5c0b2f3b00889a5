// Opening models: what a file may lack or get wrong, and what is said about it.
#include "engine/text/text_model.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "engine/text/byte_alphabet.hpp"
#include "tests/engine/model/gguf_builder.hpp"
#include "tests/engine/text/golden.hpp"

namespace aorta::engine {
namespace {

using Ids = std::vector<TokenId>;

// Ids 0 to 255 are the bytes; then these.
constexpr TokenId ab = 256, tool = 258, start = 259, tools = 260;

struct Parts {
  std::string kind = "gpt2", pre = "gpt-2", chat_template;
  std::uint32_t eos = 257, context = 64;
  std::vector<std::int32_t> types = std::vector<std::int32_t>(261, 1);
  bool merges = true;
};

std::string file_of(const Parts& parts) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back(spell_byte(static_cast<std::uint8_t>(byte)));
  tokens.insert(tokens.end(), {"ab", "<|end|>", "<tool>", "<|start|>", "<tool>s"});
  Parts p = parts;
  if (p.types.size() == tokens.size())
    p.types[257] = p.types[259] = 3, p.types[258] = p.types[260] = 4;
  GgufBuilder builder;
  builder.text("general.architecture", "llama")
      .u32("llama.context_length", p.context)
      .text("tokenizer.ggml.model", p.kind)
      .text("tokenizer.ggml.pre", p.pre)
      .texts("tokenizer.ggml.tokens", tokens)
      .i32s("tokenizer.ggml.token_type", p.types)
      .u32("tokenizer.ggml.eos_token_id", p.eos)
      .u32("tokenizer.ggml.bos_token_id", start)
      .raw("tokenizer.ggml.add_bos_token", 7, "\1");
  if (p.merges) builder.texts("tokenizer.ggml.merges", {"a b", "nonsense", "ab ab", " "});
  if (!p.chat_template.empty()) builder.text("tokenizer.chat_template", p.chat_template);
  return builder.build();
}

Result<std::shared_ptr<const TextModel>> open(const Parts& parts) {
  const std::string path = testing::TempDir() + "text_model." + std::to_string(::getpid());
  std::ofstream(path, std::ios::binary) << file_of(parts);
  auto model = TextModel::open(path);
  ::unlink(path.c_str());
  return model;
}

TEST(TextModel, EncodesWithAndWithoutSpecials) {
  const auto opened = open({});
  ASSERT_TRUE(opened) << opened.error().message;
  const TextModel& model = **opened;
  EXPECT_EQ(model.encode("abx<|end|>", true, false), (Ids{ab, 'x', 257}));
  EXPECT_EQ(model.encode("<|end|>", false, false), (Ids{'<', '|', 'e', 'n', 'd', '|', '>'}));
  // User-defined tokens are matched either way; control tokens only when asked for.
  EXPECT_EQ(model.encode("a<tool>b", false, false), (Ids{'a', tool, 'b'}));
  EXPECT_EQ(model.encode("<tool>s<tool>", false, false), (Ids{tools, tool}));  // longest first
  EXPECT_EQ(model.encode("ab", true, true), (Ids{start, ab}));
  EXPECT_EQ(model.encode("<|start|>ab", true, true), (Ids{start, ab}));
  EXPECT_EQ(model.encode("", true, true), Ids{start});
  EXPECT_EQ(model.encode("\xFF\x00", true, false), Ids{0xFF});
  EXPECT_EQ(model.stop_ids(), Ids{257});
  EXPECT_TRUE(model.is_control(257));
  EXPECT_FALSE(model.is_control(tool));
  EXPECT_EQ(model.bytes(0xFF), "\xFF");
  EXPECT_EQ(model.longest_token_bytes(), 9u);
}

// Megabytes without a break are cut, between characters, and every byte is still there.
TEST(TextModel, CutsWordsThatAreNoWords) {
  const auto model = *open({});
  const std::size_t at_once = 64 << 10;
  const std::string odd = "b" + std::string(at_once - 2, 'a') + "\xC3\xA9" + "b";
  EXPECT_EQ(model->encode(std::string(at_once, 'a') + "b", false, false).size(), at_once + 1)
      << "no ab across a cut";
  EXPECT_EQ(model->encode(std::string(at_once - 1, 'a') + "b", false, false).size(), at_once - 1);
  std::string bytes;
  for (const TokenId id : model->encode(odd, false, false)) bytes += model->bytes(id);
  EXPECT_EQ(bytes, odd);
}

void expect_error(const Parts& parts, ErrorCode code, std::string_view part) {
  const auto model = open(parts);
  ASSERT_FALSE(model) << part;
  EXPECT_EQ(model.error().code, code) << model.error().message;
  EXPECT_NE(model.error().message.find(part), std::string::npos) << model.error().message;
}

TEST(TextModel, NamesWhatItCannotUse) {
  expect_error({.kind = "llama"}, ErrorCode::unsupported, "tokenizer kind \"llama\"");
  expect_error({.pre = "tekken"}, ErrorCode::unsupported, "pre-tokenizer \"tekken\"");
  expect_error({.eos = 261}, ErrorCode::corrupt, "eos_token_id is 261");
  expect_error({.context = 0}, ErrorCode::corrupt, "llama.context_length");
  expect_error({.types = {1, 2}}, ErrorCode::corrupt, "differ in length");
  expect_error({.types = std::vector<std::int32_t>(261, 9)}, ErrorCode::corrupt, "unknown type 9");
  expect_error({.merges = false}, ErrorCode::corrupt, "tokenizer.ggml.merges is missing");
  expect_error({.chat_template = "{% if %}"}, ErrorCode::corrupt, "chat template line 1");
  expect_error({.chat_template = "\n{% macro x() %}"}, ErrorCode::unsupported, "line 2");
}

TEST(TextModel, RendersOrSaysWhyNot) {
  const auto plain = open({});
  ASSERT_TRUE(plain);
  const auto none = (*plain)->render({{"user", "x"}}, true);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::unsupported);
  const auto strict =
      open({.chat_template = "{{ bos_token }}{% for m in messages %}{% if m.role != "
                             "'user' %}{{ raise_exception('only users, not ' + "
                             "m.role) }}{% endif %}{{ m.content + eos_token }}"
                             "{% endfor %}{{ add_generation_prompt }}"});
  ASSERT_TRUE(strict) << strict.error().message;
  EXPECT_EQ(*(*strict)->render({{"user", "x"}}, true), "<|start|>x<|end|>True");
  const auto refused = (*strict)->render({{"user", "x"}, {"tool", "y"}}, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(refused.error().message.find("only users, not tool"), std::string::npos);
}

TEST(TextModel, ThinksWhenItsVocabularyOrTemplateSaysSo) {
  EXPECT_FALSE((*open({.chat_template = "{{ messages }}<think>"}))->thinks());
  EXPECT_TRUE((*open({.chat_template = "{{ '<think></think>' }}"}))->thinks());
}

TEST(TextModel, OpensTheTinyGoldens) {
  const auto model = TextModel::open(golden_path("models/gguf/tiny-llama-gqa.Q8_0.gguf"));
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ((*model)->vocabulary(), 512u);
  const std::string text = "The quick brown fox.";
  std::string bytes;
  for (const TokenId id : (*model)->encode(text, false, false)) bytes += (*model)->bytes(id);
  EXPECT_EQ(bytes, text);
}

}  // namespace
}  // namespace aorta::engine
