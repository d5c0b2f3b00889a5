// What a model file must have to be packed; each lack or excess is named.
#include "engine/model/decoder_plan.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <map>

#include "engine/model/gguf.hpp"
#include "engine/model/model_tools.hpp"
#include "tests/engine/model/gguf_builder.hpp"
#include "tests/engine/model/test_models.hpp"

namespace aorta::engine {
namespace {

struct TensorSpec {
  std::vector<std::uint64_t> dims;
  std::uint32_t type = 0;  // F32
};

// A llama of one layer, all F32: hidden 32, 2 heads of 16 over 1 KV head, vocabulary 8.
struct ModelSpec {
  std::string architecture = "llama";
  std::map<std::string, std::uint32_t> numbers = {
      {"llama.block_count", 1},          {"llama.context_length", 64},
      {"llama.embedding_length", 32},    {"llama.feed_forward_length", 48},
      {"llama.attention.head_count", 2}, {"llama.attention.head_count_kv", 1}};
  std::map<std::string, float> floats = {{"llama.attention.layer_norm_rms_epsilon", 1e-5f}};
  std::map<std::string, std::string> texts;
  std::map<std::string, TensorSpec> tensors = {
      {"token_embd.weight", {{32, 8}}},      {"output_norm.weight", {{32}}},
      {"blk.0.attn_norm.weight", {{32}}},    {"blk.0.ffn_norm.weight", {{32}}},
      {"blk.0.attn_q.weight", {{32, 32}}},   {"blk.0.attn_k.weight", {{32, 16}}},
      {"blk.0.attn_v.weight", {{32, 16}}},   {"blk.0.attn_output.weight", {{32, 32}}},
      {"blk.0.ffn_gate.weight", {{32, 48}}}, {"blk.0.ffn_up.weight", {{32, 48}}},
      {"blk.0.ffn_down.weight", {{48, 32}}}};

  std::string build() const {
    GgufBuilder builder;
    if (!architecture.empty()) builder.text("general.architecture", architecture);
    for (const auto& [key, value] : numbers) builder.u32(key, value);
    for (const auto& [key, value] : floats) builder.raw(key, 6, GgufBuilder::number(value));
    for (const auto& [key, value] : texts) builder.text(key, value);
    std::uint64_t offset = 0;
    for (const auto& [name, spec] : tensors) {
      std::uint64_t elements = 1;
      for (const std::uint64_t n : spec.dims) elements *= n;
      builder.tensor(name, spec.dims, spec.type, offset);
      offset += (elements * 4 + 31) / 32 * 32;  // room for any type
    }
    return builder.data(offset).build();
  }
};

class DecoderPlanTest : public testing::Test {
 protected:
  Result<std::vector<PackItem>> plan(const ModelSpec& spec) {
    const std::string path = directory_.path() + "/model.gguf";
    std::ofstream(path, std::ios::binary) << spec.build();
    auto file = GgufFile::open(path);
    if (!file) return file.error();
    file_ = *file;
    return plan_pack(*file_);
  }
  void expect_refused(ErrorCode code, const std::string& words,
                      const std::function<void(ModelSpec&)>& change) {
    ModelSpec spec;
    change(spec);
    auto planned = plan(spec);
    ASSERT_FALSE(planned.ok()) << words;
    EXPECT_EQ(planned.error().code, code) << planned.error().message;
    EXPECT_NE(planned.error().message.find(words), std::string::npos) << planned.error().message;
  }
  const TemporaryDirectory directory_;
  std::shared_ptr<const GgufFile> file_;
};

const PackItem* find(const std::vector<PackItem>& items, const std::string& name) {
  for (const PackItem& item : items) {
    if (item.name == name) return &item;
  }
  return nullptr;
}

std::vector<float> angles(const std::vector<PackItem>& items) {
  const PackItem* rope = find(items, decoder::rope);
  return rope->compute();
}

TEST_F(DecoderPlanTest, AWholeModelIsPlanned) {
  auto items = plan({});
  ASSERT_TRUE(items.ok()) << items.error().message;
  const PackItem* config_item = find(*items, decoder::config);
  ASSERT_NE(config_item, nullptr);
  DecoderConfig config;
  std::memcpy(&config, config_item->content.data(), sizeof(config));
  EXPECT_EQ(config.layers, 1u);
  EXPECT_EQ(config.head_size, 16u);
  EXPECT_EQ(config.vocabulary, 8u);
  EXPECT_EQ(config.tied_head, 1u);
  EXPECT_EQ(find(*items, "blk.0.attn_k.weight")->rows, 16u);
  EXPECT_EQ(find(*items, "blk.0.ffn_down.weight")->columns, 48u);
  ModelSpec untied;
  untied.tensors["output.weight"] = {{32, 8}};
  auto with_head = plan(untied);
  ASSERT_TRUE(with_head.ok()) << with_head.error().message;
  EXPECT_NE(find(*with_head, decoder::output), nullptr);
}

TEST_F(DecoderPlanTest, EveryTypeThatHasKernelsIsTaken) {
  ModelSpec spec;
  spec.numbers["llama.embedding_length"] = 256;
  for (auto& [name, tensor] : spec.tensors) {
    for (std::uint64_t& n : tensor.dims) n = n == 32 ? 256 : n == 16 ? 128 : n;
  }
  for (const std::uint32_t type : {0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 30}) {
    spec.tensors["blk.0.ffn_up.weight"].type = type;
    auto items = plan(spec);
    ASSERT_TRUE(items.ok()) << items.error().message;
    EXPECT_EQ(find(*items, "blk.0.ffn_up.weight")->type, type);
  }
}

TEST_F(DecoderPlanTest, RopeAngles) {
  ModelSpec spec;
  spec.floats["llama.rope.freq_base"] = 500.0f;
  auto items = plan(spec);
  ASSERT_TRUE(items.ok()) << items.error().message;
  const auto plain = angles(*items);
  ASSERT_EQ(plain.size(), 64u * 16u);
  for (std::uint32_t i = 0; i < 8; ++i) {
    const double angle = 5 * std::pow(500.0, -2.0 * i / 16);
    EXPECT_NEAR(plain[5 * 16 + 2 * i], std::cos(angle), 1e-6);
    EXPECT_NEAR(plain[5 * 16 + 2 * i + 1], std::sin(angle), 1e-6);
  }
  // Linear scaling by 2: position 10 is turned as position 5 was.
  spec.texts["llama.rope.scaling.type"] = "linear";
  spec.floats["llama.rope.scaling.factor"] = 2.0f;
  auto scaled = plan(spec);
  ASSERT_TRUE(scaled.ok()) << scaled.error().message;
  const auto half_speed = angles(*scaled);
  for (std::uint32_t i = 0; i < 16; ++i) EXPECT_EQ(half_speed[10 * 16 + i], plain[5 * 16 + i]);
}

TEST_F(DecoderPlanTest, NamesWhatIsNotSupported) {
  const auto unsupported = ErrorCode::unsupported;
  expect_refused(unsupported, "architecture 'mamba' is not one of: llama",
                 [](ModelSpec& m) { m.architecture = "mamba"; });
  expect_refused(unsupported, "experts", [](ModelSpec& m) { m.numbers["llama.expert_count"] = 8; });
  expect_refused(unsupported, "'yarn' is not one of",
                 [](ModelSpec& m) { m.texts["llama.rope.scaling.type"] = "yarn"; });
  expect_refused(unsupported, "blk.0.attn_q.bias is not part of a llama model",
                 [](ModelSpec& m) { m.tensors["blk.0.attn_q.bias"] = {{32}}; });
  expect_refused(unsupported, "ffn_up.weight is of type IQ4_NL; supported are F32, F16, BF16, Q4_0",
                 [](ModelSpec& m) { m.tensors["blk.0.ffn_up.weight"].type = 20; });
  expect_refused(unsupported, "heads of 8",
                 [](ModelSpec& m) { m.numbers["llama.attention.head_count"] = 4; });
  expect_refused(unsupported, "rotated 8",
                 [](ModelSpec& m) { m.numbers["llama.rope.dimension_count"] = 8; });
}

TEST_F(DecoderPlanTest, NamesWhatIsMissingOrDoesNotFit) {
  const auto corrupt = ErrorCode::corrupt;
  expect_refused(corrupt, "general.architecture", [](ModelSpec& m) { m.architecture = ""; });
  expect_refused(corrupt, "lacks llama.block_count",
                 [](ModelSpec& m) { m.numbers.erase("llama.block_count"); });
  expect_refused(corrupt, "llama.embedding_length is 0",
                 [](ModelSpec& m) { m.numbers["llama.embedding_length"] = 0; });
  expect_refused(corrupt, "llama.context_length is 4294967295",
                 [](ModelSpec& m) { m.numbers["llama.context_length"] = ~0u; });
  expect_refused(corrupt, "do not share", [](ModelSpec& m) {
    m.numbers["llama.attention.head_count"] = 3, m.numbers["llama.attention.head_count_kv"] = 2;
  });
  expect_refused(corrupt, "rms_epsilon is missing", [](ModelSpec& m) { m.floats.clear(); });
  expect_refused(corrupt, "rms_epsilon",
                 [](ModelSpec& m) { m.floats["llama.attention.layer_norm_rms_epsilon"] = NAN; });
  expect_refused(corrupt, "freq_base",
                 [](ModelSpec& m) { m.floats["llama.rope.freq_base"] = -1.0f; });
  expect_refused(corrupt, "token_embd.weight is missing",
                 [](ModelSpec& m) { m.tensors.erase("token_embd.weight"); });
  expect_refused(corrupt, "tensor blk.0.ffn_gate.weight is missing",
                 [](ModelSpec& m) { m.tensors.erase("blk.0.ffn_gate.weight"); });
  expect_refused(corrupt, "blk.1.attn_norm.weight is missing",
                 [](ModelSpec& m) { m.numbers["llama.block_count"] = 2; });
  expect_refused(corrupt, "attn_k.weight is [32, 32], the metadata wants [32, 16]",
                 [](ModelSpec& m) {
                   m.tensors["blk.0.attn_k.weight"] = {{32, 32}};
                 });
  expect_refused(corrupt, "output_norm.weight is [31]",
                 [](ModelSpec& m) { m.tensors["output_norm.weight"] = {{31}}; });
}

TEST_F(DecoderPlanTest, ToolsAnswerBadIdsWithASentence) {
  const ToolOptions options = {.gguf_path = golden_path("models/gguf/tiny-llama-gqa.Q8_0.gguf"),
                               .pack_directory = directory_.path()};
  const auto refused = [&](std::vector<TokenId> ids, const std::string& words) {
    auto logits = model_logits(options, ids);
    ASSERT_FALSE(logits.ok());
    EXPECT_EQ(logits.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(logits.error().message.find(words), std::string::npos) << logits.error().message;
  };
  refused({}, "1 to 512");
  refused({1, 512}, "token id 512 is outside");
  refused({-1}, "token id -1 is outside");
  refused(std::vector<TokenId>(513, 1), "513 ids");
  auto logits = model_logits(options, std::vector<TokenId>{1, 2, 3});
  ASSERT_TRUE(logits.ok()) << logits.error().message;
  EXPECT_EQ(logits->size(), 512u);
  EXPECT_FALSE(model_perplexity(options, std::vector<TokenId>{1, 2}, 3).ok());

  auto summary = inspect_model(options.gguf_path);
  ASSERT_TRUE(summary.ok()) << summary.error().message;
  EXPECT_EQ(summary->architecture, "llama");
  EXPECT_EQ(summary->layers, 3u);
  EXPECT_EQ(summary->kv_bytes_per_token, 2u * 3u * 2u * 32u * 2u);
}

}  // namespace
}  // namespace aorta::engine
