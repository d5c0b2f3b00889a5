// Model directories: config.json and safetensors, whole or in shards, to a plan of a pack.
#include "engine/model/safetensors/model_directory.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "engine/model/model_tools.hpp"
#include "engine/model/pack_plan.hpp"
#include "engine/model/safetensors/published_names.hpp"
#include "tests/engine/model/safetensors_builder.hpp"
#include "tests/engine/model/test_models.hpp"

namespace aorta::engine {
namespace {

namespace fs = std::filesystem;

class ModelDirectoryTest : public testing::Test {
 protected:
  std::string model() const { return directory_.path() + "/model"; }
  Result<std::vector<PackItem>> plan(const DirectorySpec& spec) {
    fs::remove_all(model());
    spec.write(model());
    auto source = ModelSource::open(model());
    if (!source) return source.error();
    source_ = *source;
    return plan_pack(*source_);
  }
  void expect_refused(ErrorCode code, const std::string& words,
                      const std::function<void(DirectorySpec&)>& change) {
    DirectorySpec spec;
    change(spec);
    auto planned = plan(spec);
    ASSERT_FALSE(planned.ok()) << words;
    EXPECT_EQ(planned.error().code, code) << planned.error().message;
    EXPECT_NE(planned.error().message.find(words), std::string::npos) << planned.error().message;
  }
  const TemporaryDirectory directory_;
  std::shared_ptr<const ModelSource> source_;
};

const PackItem* find(const std::vector<PackItem>& items, const std::string& name) {
  for (const PackItem& item : items) {
    if (item.name == name) return &item;
  }
  return nullptr;
}

TEST(PublishedNames, TranslateBothWays) {
  EXPECT_EQ(gguf_name_of("model.layers.12.self_attn.q_proj.bias"), "blk.12.attn_q.bias");
  EXPECT_EQ(published_name_of("blk.12.attn_q.bias"), "model.layers.12.self_attn.q_proj.bias");
  EXPECT_EQ(published_name_of("output_norm.weight"), "model.norm.weight");
  for (const char* name : {"model.layers.x.mlp.up_proj.weight", "model.layers..mlp.up_proj.weight",
                           "model.layers.1.mlp.weight", "model.layers.1", "blk.1.ffn_up.weight"}) {
    EXPECT_EQ(gguf_name_of(name), std::nullopt) << name;
  }
}

TEST_F(ModelDirectoryTest, OneFileAndShardsAreTheSameModel) {
  auto one = plan({});
  ASSERT_TRUE(one.ok()) << one.error().message;
  EXPECT_EQ(find(*one, "blk.0.attn_k.weight")->rows, 16u);
  EXPECT_EQ(find(*one, "blk.0.attn_k.weight")->halves, 16u);
  EXPECT_EQ(find(*one, "blk.0.attn_v.weight")->halves, 0u);
  EXPECT_NE(find(*one, "blk.0.attn_q_norm.weight"), nullptr);
  EXPECT_EQ(find(*one, "output.weight"), nullptr);
  DirectorySpec sharded;
  sharded.in_first_shard = 5;
  auto two = plan(sharded);
  ASSERT_TRUE(two.ok()) << two.error().message;
  EXPECT_EQ(two->size(), one->size());
  EXPECT_EQ(source_->contents().size(), 4u);  // config, index, two files
  auto files = source_files(model());
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->size(), 4u);
}

TEST_F(ModelDirectoryTest, ATiedHeadIsNotRead) {
  DirectorySpec spec;
  spec.tensors.push_back({"lm_head.weight", {8, 32}});
  auto tied = plan(spec);
  ASSERT_TRUE(tied.ok()) << tied.error().message;
  EXPECT_EQ(find(*tied, "output.weight"), nullptr);
  spec.config["tie_word_embeddings"] = false;
  auto untied = plan(spec);
  ASSERT_TRUE(untied.ok()) << untied.error().message;
  EXPECT_NE(find(*untied, "output.weight"), nullptr);
  expect_refused(ErrorCode::corrupt, "lm_head.weight is missing",
                 [](DirectorySpec& s) { s.config["tie_word_embeddings"] = false; });
}

TEST_F(ModelDirectoryTest, RopeIsReadFromOldAndNewConfigurations) {
  DirectorySpec old_style;
  old_style.config["rope_scaling"] = {{"type", "llama3"},
                                      {"factor", 8.0},
                                      {"low_freq_factor", 1.0},
                                      {"high_freq_factor", 4.0},
                                      {"original_max_position_embeddings", 16}};
  auto before = plan(old_style);
  ASSERT_TRUE(before.ok()) << before.error().message;
  DirectorySpec new_style;
  new_style.config.erase("rope_theta");
  new_style.config["rope_parameters"] = old_style.config["rope_scaling"];
  new_style.config["rope_parameters"]["rope_type"] = "llama3";
  new_style.config["rope_parameters"]["rope_theta"] = 500.0;
  auto after = plan(new_style);
  ASSERT_TRUE(after.ok()) << after.error().message;
  EXPECT_EQ(find(*before, "rope")->compute(), find(*after, "rope")->compute());
  EXPECT_NE(find(*before, "rope")->compute(), find(*plan({}), "rope")->compute());
}

TEST_F(ModelDirectoryTest, NamesWhatIsNotSupported) {
  const auto unsupported = ErrorCode::unsupported;
  const auto with = [](const char* key, const nlohmann::json& value) {
    return [=](DirectorySpec& s) { s.config[key] = value; };
  };
  expect_refused(unsupported, "architecture 'gemma' is not one of: llama, qwen2, qwen3",
                 with("model_type", "gemma"));
  expect_refused(unsupported, "hidden_act", with("hidden_act", "gelu"));
  expect_refused(unsupported, "quantization_config",
                 with("quantization_config", {{"quant_method", "fp8"}}));
  expect_refused(unsupported, "rope_type 'yarn' is not one of",
                 with("rope_scaling", {{"rope_type", "yarn"}}));
  expect_refused(unsupported, "partial_rotary_factor", with("partial_rotary_factor", 0.5));
  expect_refused(unsupported, "sliding_attention", with("layer_types", {"sliding_attention"}));
  expect_refused(unsupported, "sliding window (sliding_window)", [](DirectorySpec& s) {
    s.config["sliding_window"] = 4096, s.config["use_sliding_window"] = true;
  });
  expect_refused(unsupported, "q_proj.bias is not part of a qwen3", [](DirectorySpec& s) {
    s.tensors.push_back({"model.layers.0.self_attn.q_proj.bias", {32}});
  });
  expect_refused(unsupported, "up_proj.weight is of type I32; supported are F32",
                 [](DirectorySpec& s) { s.tensor("up_proj").dtype = "I32"; });
}

TEST_F(ModelDirectoryTest, NamesWhatIsMissingOrDoesNotFit) {
  const auto corrupt = ErrorCode::corrupt;
  expect_refused(corrupt, "lacks num_hidden_layers",
                 [](DirectorySpec& s) { s.config.erase("num_hidden_layers"); });
  expect_refused(corrupt, "hidden_size", [](DirectorySpec& s) { s.config["hidden_size"] = -1; });
  expect_refused(corrupt, "names no model_type",
                 [](DirectorySpec& s) { s.config.erase("model_type"); });
  expect_refused(corrupt, "rms_norm_eps", [](DirectorySpec& s) { s.config["rms_norm_eps"] = "x"; });
  expect_refused(corrupt, "factor is missing", [](DirectorySpec& s) {
    s.config["rope_scaling"] = {{"rope_type", "llama3"}};
  });
  expect_refused(corrupt, "tensor model.layers.0.mlp.up_proj.weight is missing",
                 [](DirectorySpec& s) { s.erase("up_proj"); });
  expect_refused(corrupt, "up_proj.weight is [32, 47], the metadata wants [32, 48]",
                 [](DirectorySpec& s) {
                   s.tensor("up_proj").shape = {47, 32};
                 });
  EXPECT_EQ(ModelSource::open(directory_.path()).error().code, ErrorCode::not_found);
  DirectorySpec().write(model());
  fs::remove(model() + "/model.safetensors");
  EXPECT_EQ(ModelSource::open(model()).error().code, ErrorCode::not_found);
}

TEST_F(ModelDirectoryTest, AnIndexLeadsNowhereElse) {
  const auto with_map = [](const nlohmann::json& map) {
    return [=](DirectorySpec& s) { s.in_first_shard = 5, s.weight_map = map; };
  };
  for (const char* name : {"../model-1.safetensors", "/etc/passwd", "a/b.safetensors", "model.bin",
                           "", ".safetensors", "..safetensors"}) {
    expect_refused(ErrorCode::corrupt, "not the name of a .safetensors file",
                   with_map({{"model.norm.weight", name}}));
  }
  expect_refused(ErrorCode::corrupt, "not the name", with_map({{"model.norm.weight", 7}}));
  expect_refused(ErrorCode::corrupt, "no weight_map", with_map(nlohmann::json::array()));
  expect_refused(ErrorCode::not_found, "model-3.safetensors",
                 with_map({{"model.norm.weight", "model-3.safetensors"}}));
  expect_refused(ErrorCode::corrupt, "but not by model.safetensors.index.json",
                 with_map({{"model.norm.weight", "model-1.safetensors"}}));
  DirectorySpec spec;
  spec.in_first_shard = 5;
  for (const TensorOf& t : spec.tensors) {
    spec.weight_map[t.name] = &t < &spec.tensors[5] ? "model-1.safetensors" : "model-2.safetensors";
  }
  spec.weight_map["model.layers.7.mlp.up_proj.weight"] = "model-2.safetensors";
  auto planned = plan(spec);
  ASSERT_FALSE(planned.ok());
  EXPECT_NE(planned.error().message.find("layers.7.mlp.up_proj.weight\" is not in"),
            std::string::npos)
      << planned.error().message;
}

TEST_F(ModelDirectoryTest, APackKnowsTheFilesItWasMadeFrom) {
  DirectorySpec spec;
  spec.in_first_shard = 5;
  spec.write(model());
  const std::string packs = directory_.path() + "/packs";
  auto first = pack_model(model(), packs);
  ASSERT_TRUE(first.ok()) << first.error().message;
  auto pack = open_pack(*first);
  ASSERT_TRUE(pack.ok()) << pack.error().message;
  EXPECT_TRUE(check_source(**pack, model()).ok());
  const std::string shard = model() + "/model-2.safetensors";
  fs::last_write_time(shard, fs::last_write_time(shard) + std::chrono::hours(1));
  EXPECT_TRUE(check_source(**pack, model()).ok()) << "touched only";
  EXPECT_EQ(*pack_model(model(), packs), *first);
  std::fstream file(shard, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-4, std::ios::end);
  file.put('x');
  file.close();
  auto same = check_source(**pack, model());
  ASSERT_FALSE(same.ok());
  EXPECT_EQ(same.error().code, ErrorCode::conflict) << same.error().message;
  auto second = pack_model(model(), packs);
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_NE(*second, *first);
}

TEST_F(ModelDirectoryTest, IsInspected) {
  auto summary = inspect_model(golden_path("models/tiny-qwen2"));
  ASSERT_TRUE(summary.ok()) << summary.error().message;
  EXPECT_EQ(summary->architecture, "qwen2");
  EXPECT_EQ(summary->name, "tiny-qwen2");
  EXPECT_EQ(summary->head_size, 32u);
  EXPECT_EQ(summary->tensor_types.at(0).first, "F32");
}

}  // namespace
}  // namespace aorta::engine
