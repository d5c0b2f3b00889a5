#pragma once
// How models are spelt as their authors publish them (config.json and safetensors, in the manner of
// Hugging Face's transformers), and the GGUF spelling that Aorta uses inside.
#include <optional>
#include <string>
#include <string_view>

namespace aorta::engine {

// GGUF's name of a published tensor: model.layers.3.mlp.up_proj.weight is blk.3.ffn_up.weight.
// nullopt: it has none.
std::optional<std::string> gguf_name_of(std::string_view published);

// The other way round; `name` itself when it has no published one.
std::string published_name_of(std::string_view name);

// The member of config.json for a key of GGUF without its architecture: block_count is
// num_hidden_layers. nullptr: none. A leading '.' is a member of rope_parameters or rope_scaling.
const char* config_member_of(std::string_view key);

}  // namespace aorta::engine
