#pragma once
// Writes safetensors files in memory and model directories on disk, right or deliberately wrong.
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace aorta::engine {

// A file of a header as it is given and `data_bytes` of zeros.
inline std::string safetensors_of(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t size = header.size();
  std::string file(sizeof(size), '\0');
  std::memcpy(file.data(), &size, sizeof(size));
  return file + header + std::string(data_bytes, '\0');
}

struct TensorOf {
  std::string name;
  std::vector<std::uint64_t> shape;
  std::string dtype = "F32";
};

// Tensors of 4-byte elements, one after another.
inline std::string safetensors_of(const std::vector<TensorOf>& tensors) {
  nlohmann::json header = {{"__metadata__", {{"format", "pt"}}}};
  std::uint64_t offset = 0;
  for (const TensorOf& tensor : tensors) {
    std::uint64_t bytes = 4;
    for (const std::uint64_t n : tensor.shape) bytes *= n;
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  return safetensors_of(header.dump(), offset);
}

// A qwen3 of one layer, all F32: hidden 32, 2 heads of 16 over 1 KV head, vocabulary 8.
struct DirectorySpec {
  nlohmann::json config = {
      {"model_type", "qwen3"},   {"num_hidden_layers", 1},        {"hidden_size", 32},
      {"intermediate_size", 48}, {"num_attention_heads", 2},      {"num_key_value_heads", 1},
      {"head_dim", 16},          {"max_position_embeddings", 64}, {"rms_norm_eps", 1e-6},
      {"hidden_act", "silu"},    {"tie_word_embeddings", true},   {"rope_theta", 500.0}};
  std::vector<TensorOf> tensors = {{"model.embed_tokens.weight", {8, 32}},
                                   {"model.norm.weight", {32}},
                                   {"model.layers.0.input_layernorm.weight", {32}},
                                   {"model.layers.0.post_attention_layernorm.weight", {32}},
                                   {"model.layers.0.self_attn.q_proj.weight", {32, 32}},
                                   {"model.layers.0.self_attn.k_proj.weight", {16, 32}},
                                   {"model.layers.0.self_attn.v_proj.weight", {16, 32}},
                                   {"model.layers.0.self_attn.o_proj.weight", {32, 32}},
                                   {"model.layers.0.self_attn.q_norm.weight", {16}},
                                   {"model.layers.0.self_attn.k_norm.weight", {16}},
                                   {"model.layers.0.mlp.gate_proj.weight", {48, 32}},
                                   {"model.layers.0.mlp.up_proj.weight", {48, 32}},
                                   {"model.layers.0.mlp.down_proj.weight", {32, 48}}};
  std::size_t in_first_shard = 0;  // 0: one file, no index
  nlohmann::json weight_map;       // instead of the right one

  TensorOf& tensor(const std::string& part) {
    for (TensorOf& t : tensors) {
      if (t.name.find(part) != std::string::npos) return t;
    }
    throw std::out_of_range(part);
  }
  void erase(const std::string& part) {
    std::erase_if(tensors,
                  [&](const TensorOf& t) { return t.name.find(part) != std::string::npos; });
  }

  void write(const std::string& directory) const {
    std::filesystem::create_directories(directory);
    put(directory + "/config.json", config.dump());
    if (in_first_shard == 0) return put(directory + "/model.safetensors", safetensors_of(tensors));
    const auto cut = tensors.begin() + static_cast<std::ptrdiff_t>(in_first_shard);
    put(directory + "/model-1.safetensors", safetensors_of(std::vector(tensors.begin(), cut)));
    put(directory + "/model-2.safetensors", safetensors_of(std::vector(cut, tensors.end())));
    nlohmann::json map = weight_map;
    if (map.is_null()) {
      for (auto t = tensors.begin(); t != tensors.end(); ++t) {
        map[t->name] = t < cut ? "model-1.safetensors" : "model-2.safetensors";
      }
    }
    put(directory + "/model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
  }

  static void put(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
  }
};

}  // namespace aorta::engine
