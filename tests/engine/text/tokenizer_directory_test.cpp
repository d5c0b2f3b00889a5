// Tokenizers of model directories: the same ids as the GGUF file of the same model, and a sentence
// for what cannot be used.
#include "engine/text/tokenizer_directory.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "engine/model/gguf.hpp"
#include "engine/text/vocabulary.hpp"
#include "tests/engine/text/golden.hpp"

namespace aorta::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Ids = std::vector<TokenId>;

const char* const qwen2_words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", use_regex}};
}
json split_by(const std::string& regex) {
  return {{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}};
}
json sequence(const json& steps) { return {{"type", "Sequence"}, {"pretokenizers", steps}}; }
json added(const char* content, int id, bool special) {
  return {{"content", content}, {"id", id}, {"special", special}, {"lstrip", false}};
}

// Tokens a, b, ab, two added ones, and rows for ten.
struct Files {
  json config = {{"model_type", "qwen2"},
                 {"max_position_embeddings", 64},
                 {"vocab_size", 10},
                 {"eos_token_id", 5}};
  json tokenizer = {
      {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}}, {"merges", {"a b"}}}},
      {"pre_tokenizer", byte_level(true)},
      {"added_tokens", {added("<tool>", 4, false), added("<|end|>", 5, true)}}};
  json settings = {{"eos_token", "<|end|>"}, {"chat_template", "{{ messages[0].content }}!"}};
  json generation;
  std::string jinja;
};

class TokenizerDirectoryTest : public testing::Test {
 protected:
  TokenizerDirectoryTest() { fs::create_directories(path_); }
  ~TokenizerDirectoryTest() override { fs::remove_all(path_); }
  void put(const char* name, const std::string& text) {
    std::ofstream(path_ + "/" + name, std::ios::binary) << text;
  }
  Result<std::shared_ptr<const TextModel>> open(const Files& files) {
    put("config.json", files.config.dump());
    put("tokenizer.json", files.tokenizer.dump());
    put("tokenizer_config.json", files.settings.dump());
    if (!files.generation.is_null()) put("generation_config.json", files.generation.dump());
    if (!files.jinja.empty()) put("chat_template.jinja", files.jinja);
    return TextModel::open(path_);
  }
  void expect_refused(ErrorCode code, const std::string& words,
                      const std::function<void(Files&)>& change) {
    Files files;
    change(files);
    const auto model = open(files);
    ASSERT_FALSE(model.ok()) << words;
    EXPECT_EQ(model.error().code, code) << model.error().message;
    EXPECT_NE(model.error().message.find(words), std::string::npos) << model.error().message;
  }
  const std::string path_ = testing::TempDir() + "tokenizer." + std::to_string(::getpid());
};

TEST_F(TokenizerDirectoryTest, ReadsTokensMergesAndTemplate) {
  const auto opened = open({});
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const TextModel& model = **opened;
  EXPECT_EQ(model.vocabulary(), 10u);
  EXPECT_EQ(model.context_tokens(), 64u);
  EXPECT_EQ(model.encode("aab<tool>b<|end|>", true, true), (Ids{0, 2, 4, 1, 5}));
  EXPECT_EQ(model.stop_ids(), Ids{5});
  EXPECT_TRUE(model.is_control(5));
  EXPECT_FALSE(model.is_control(4));
  EXPECT_TRUE(model.is_control(9)) << "a row without a token";
  EXPECT_EQ(model.bytes(9), "");
  EXPECT_EQ(*model.render({{"user", "x"}}, true), "x!");
}

TEST_F(TokenizerDirectoryTest, ReadsTheirVariants) {
  Files files;
  files.tokenizer["model"]["merges"] = json::array({json::array({"a", "b"})});
  files.settings["bos_token"] = {{"content", "<|end|>"}};
  files.settings["chat_template"] = {{{"name", "tool_use"}, {"template", "no"}},
                                     {{"name", "default"}, {"template", "yes"}}};
  files.generation = {{"eos_token_id", {5, 4}}};
  auto model = open(files);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ((*model)->encode("ab", true, true), Ids{2}) << "no BOS unless told";
  EXPECT_EQ((*model)->stop_ids(), (Ids{5, 4}));
  EXPECT_EQ(*(*model)->render({{"user", "x"}}, true), "yes");
  files.settings["add_bos_token"] = true;
  files.jinja = "from a file";
  model = open(files);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ((*model)->encode("ab", true, true), (Ids{5, 2}));
  EXPECT_EQ(*(*model)->render({{"user", "x"}}, true), "from a file");
  files.settings.erase("add_bos_token");
  files.tokenizer["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "<|end|>"}}}}, {{"Sequence", {{"id", "A"}}}}}}};
  EXPECT_EQ((*open(files))->encode("ab", true, true), (Ids{5, 2}));
}

// The 152k tokens of R1-Distill-Qwen, written as its authors' tokenizer.json has them, give the
// ids that its GGUF file gives, for every golden text.
TEST_F(TokenizerDirectoryTest, GivesTheIdsOfTheGgufFile) {
  const std::string gguf_path = golden_path("vocab/r1-distill-qwen-vocab.gguf");
  const auto gguf = *GgufFile::open(gguf_path);
  Files files;
  json vocab = json::object(), merges = json::array(), special = json::array();
  const auto tokens = *gguf->get_strings("tokenizer.ggml.tokens");
  const auto types = *gguf->get_ints("tokenizer.ggml.token_type");
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const std::string token(tokens[id]);
    if (types[id] == static_cast<int>(TokenType::normal)) {
      vocab[token] = id;
    } else if (types[id] != static_cast<int>(TokenType::unused)) {
      special.push_back(added(token.c_str(), static_cast<int>(id),
                              types[id] == static_cast<int>(TokenType::control)));
    }
  }
  const auto pairs = *gguf->get_strings("tokenizer.ggml.merges");
  for (const std::string_view pair : pairs) merges.push_back(std::string(pair));
  files.tokenizer["model"] = {{"vocab", vocab}, {"merges", merges}};
  files.tokenizer["added_tokens"] = special;
  files.tokenizer["normalizer"] = {{"type", "NFC"}};
  files.tokenizer["pre_tokenizer"] = sequence({split_by(qwen2_words), byte_level(false)});
  const auto bos = *gguf->get_uint("tokenizer.ggml.bos_token_id");
  const auto eos = *gguf->get_uint("tokenizer.ggml.eos_token_id");
  files.settings = {{"bos_token", std::string(tokens[bos])},
                    {"eos_token", std::string(tokens[eos])},
                    {"add_bos_token", true},
                    {"chat_template", std::string(*gguf->get_string("tokenizer.chat_template"))}};
  files.config["vocab_size"] = tokens.size();
  files.config["eos_token_id"] = eos;
  const auto ours = open(files);
  ASSERT_TRUE(ours.ok()) << ours.error().message;
  const auto theirs = TextModel::open(gguf_path);
  ASSERT_TRUE(theirs.ok()) << theirs.error().message;
  EXPECT_EQ((*ours)->stop_ids(), (*theirs)->stop_ids());
  EXPECT_EQ((*ours)->thinks(), (*theirs)->thinks());
  EXPECT_EQ((*ours)->longest_token_bytes(), (*theirs)->longest_token_bytes());
  const json texts = read_golden("r1distill/tokenizer.json");
  for (const json& golden : texts["cases"]) {
    const auto text = golden["text"].get<std::string>();
    EXPECT_EQ((*ours)->encode(text, true, true), (*theirs)->encode(text, true, true)) << text;
    EXPECT_EQ((*ours)->encode(text, false, false), (*theirs)->encode(text, false, false)) << text;
  }
  const json chats = read_golden("r1distill/chat.json");
  for (const json& golden : chats["cases"]) {
    const auto messages = messages_of(golden["messages"]);
    const auto mine = (*ours)->render(messages, true), yours = (*theirs)->render(messages, true);
    ASSERT_EQ(mine.ok(), yours.ok());
    EXPECT_TRUE(!mine.ok() || *mine == *yours) << *yours;
  }
}

TEST_F(TokenizerDirectoryTest, OpensTheTinyGoldens) {
  const auto directory = TextModel::open(golden_path("models/tiny-qwen2"));
  ASSERT_TRUE(directory.ok()) << directory.error().message;
  const auto gguf = TextModel::open(golden_path("models/gguf/tiny-qwen2.F16.gguf"));
  ASSERT_TRUE(gguf.ok()) << gguf.error().message;
  const std::string text = "The quick brown fox, 12345 <|eos|> jumps.";
  EXPECT_EQ((*directory)->encode(text, true, true), (*gguf)->encode(text, true, true));
  EXPECT_EQ((*directory)->stop_ids(), (*gguf)->stop_ids());
  EXPECT_TRUE((*directory)->render({{"user", "Hi"}}, true).ok());
}

TEST_F(TokenizerDirectoryTest, NamesWhatIsNotSupported) {
  const auto unsupported = ErrorCode::unsupported;
  const auto with_pre = [](const json& pre) {
    return [=](Files& f) { f.tokenizer["pre_tokenizer"] = pre; };
  };
  expect_refused(unsupported, "tokenizer kind \"Unigram\"",
                 [](Files& f) { f.tokenizer["model"]["type"] = "Unigram"; });
  expect_refused(unsupported, "byte_fallback",
                 [](Files& f) { f.tokenizer["model"]["byte_fallback"] = true; });
  expect_refused(unsupported, "end_of_word_suffix",
                 [](Files& f) { f.tokenizer["model"]["end_of_word_suffix"] = "</w>"; });
  expect_refused(unsupported, "ignore_merges",
                 [](Files& f) { f.tokenizer["model"]["ignore_merges"] = true; });
  expect_refused(unsupported, "normalizer \"Lowercase\"", [](Files& f) {
    f.tokenizer["normalizer"] = {{"type", "Lowercase"}};
  });
  expect_refused(unsupported, "not byte-level", with_pre(nullptr));
  expect_refused(unsupported, "\"Metaspace\"", with_pre({{"type", "Metaspace"}}));
  expect_refused(unsupported, "w+", with_pre(sequence({split_by("\\w+"), byte_level(false)})));
  expect_refused(unsupported, "not byte-level", with_pre(sequence({split_by(qwen2_words)})));
  expect_refused(unsupported, "\"ByteLevel\"",
                 with_pre({{"type", "ByteLevel"}, {"add_prefix_space", true}}));
  expect_refused(unsupported, "\"<tool>\" is lstrip",
                 [](Files& f) { f.tokenizer["added_tokens"][0]["lstrip"] = true; });
}

TEST_F(TokenizerDirectoryTest, NamesWhatIsWrong) {
  const auto corrupt = ErrorCode::corrupt;
  expect_refused(corrupt, "no model", [](Files& f) { f.tokenizer.erase("model"); });
  expect_refused(corrupt, "no vocab", [](Files& f) { f.tokenizer["model"].erase("vocab"); });
  expect_refused(corrupt, "no merges", [](Files& f) { f.tokenizer["model"].erase("merges"); });
  expect_refused(corrupt, "merge 1 is not a pair", [](Files& f) {
    f.tokenizer["model"]["merges"] = {"a b", 7};
  });
  expect_refused(corrupt, "same id 0", [](Files& f) { f.tokenizer["model"]["vocab"]["x"] = 0; });
  expect_refused(corrupt, "\"x\" has no id below",
                 [](Files& f) { f.tokenizer["model"]["vocab"]["x"] = 4'000'000'000u; });
  expect_refused(corrupt, "has no content",
                 [](Files& f) { f.tokenizer["added_tokens"][0].erase("content"); });
  expect_refused(corrupt, "vocab_size is 4000000000",
                 [](Files& f) { f.config["vocab_size"] = 4'000'000'000u; });
  expect_refused(corrupt, "eos_token_id 10 is no id",
                 [](Files& f) { f.config["eos_token_id"] = 10; });
  expect_refused(corrupt, "max_position_embeddings is missing",
                 [](Files& f) { f.config.erase("max_position_embeddings"); });
  fs::remove(path_ + "/tokenizer.json");
  EXPECT_EQ(TextModel::open(path_).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace aorta::engine
