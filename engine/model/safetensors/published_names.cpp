#include "engine/model/safetensors/published_names.hpp"

#include <algorithm>

namespace aorta::engine {
namespace {

struct Names {
  std::string_view published, gguf;
};

constexpr Names outside_layers[] = {{"model.embed_tokens.weight", "token_embd.weight"},
                                    {"model.norm.weight", "output_norm.weight"},
                                    {"lm_head.weight", "output.weight"}};

// Between "model.layers.N." or "blk.N." and ".weight" or ".bias".
constexpr Names inside_layers[] = {
    {"input_layernorm", "attn_norm"},    {"post_attention_layernorm", "ffn_norm"},
    {"self_attn.q_proj", "attn_q"},      {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},      {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"}, {"self_attn.k_norm", "attn_k_norm"},
    {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"}};

constexpr Names config_members[] = {
    {"num_hidden_layers", "block_count"},
    {"hidden_size", "embedding_length"},
    {"intermediate_size", "feed_forward_length"},
    {"num_attention_heads", "attention.head_count"},
    {"num_key_value_heads", "attention.head_count_kv"},
    {"head_dim", "attention.key_length"},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon"},
    {"max_position_embeddings", "context_length"},
    {"sliding_window", "attention.sliding_window"},
    {"num_experts", "expert_count"},
    {".rope_theta", "rope.freq_base"},
    {".rope_type", "rope.scaling.type"},
    {".factor", "rope.scaling.factor"},
    {".low_freq_factor", "rope.scaling.low_freq_factor"},
    {".high_freq_factor", "rope.scaling.high_freq_factor"},
    {".original_max_position_embeddings", "rope.scaling.original_context_length"}};

constexpr std::string_view published_layer = "model.layers.", gguf_layer = "blk.";

// A tensor's name inside a layer, "model.layers." NUMBER "." PART "." KIND.
struct LayerName {
  std::string_view number, part, kind;
};

std::optional<LayerName> parse(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  const std::size_t dot = name.find('.');
  const std::size_t last = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || dot > 6 || last <= dot + 1) return std::nullopt;
  const std::string_view number = name.substr(0, dot);
  if (number.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  return LayerName{number, name.substr(dot + 1, last - dot - 1), name.substr(last + 1)};
}

// The spelling beside `name` in a table; empty: none.
template <std::size_t N>
std::string_view other(const Names (&table)[N], std::string_view Names::*from,
                       std::string_view Names::*to, std::string_view name) {
  const auto found =
      std::find_if(table, table + N, [&](const Names& names) { return names.*from == name; });
  return found == table + N ? std::string_view() : found->*to;
}

std::optional<std::string> translate(std::string_view name, bool to_gguf) {
  const auto from = to_gguf ? &Names::published : &Names::gguf;
  const auto to = to_gguf ? &Names::gguf : &Names::published;
  if (const auto found = other(outside_layers, from, to, name); !found.empty()) {
    return std::string(found);
  }
  const auto in_layer = parse(name, to_gguf ? published_layer : gguf_layer);
  if (!in_layer) return std::nullopt;
  const auto part = other(inside_layers, from, to, in_layer->part);
  if (part.empty()) return std::nullopt;
  std::string result(to_gguf ? gguf_layer : published_layer);
  result.append(in_layer->number).append(".").append(part).append(".").append(in_layer->kind);
  return result;
}

}  // namespace

std::optional<std::string> gguf_name_of(std::string_view published) {
  return translate(published, true);
}

std::string published_name_of(std::string_view name) {
  return translate(name, false).value_or(std::string(name));
}

const char* config_member_of(std::string_view key) {
  const auto found = other(config_members, &Names::gguf, &Names::published, key);
  return found.empty() ? nullptr : found.data();
}

}  // namespace aorta::engine
