// config.json under GGUF's keys.
#include "engine/model/safetensors/model_directory.hpp"
#include "engine/model/safetensors/published_names.hpp"

namespace aorta::engine {
namespace {

using nlohmann::json;

constexpr std::size_t largest_config_bytes = 1 << 20;

std::string_view without_architecture(std::string_view key) {
  const std::size_t dot = key.find('.');
  return dot == std::string_view::npos ? key : key.substr(dot + 1);
}

}  // namespace

Result<PublishedConfig> PublishedConfig::read(const std::string& directory) {
  auto config = read_json_object(directory + "/config.json", largest_config_bytes);
  if (!config) return config.error();
  return PublishedConfig(std::move(*config));
}

const json* PublishedConfig::find(std::string_view key) const {
  if (key == "general.architecture") return member(json_, "model_type");
  const char* name = config_member_of(without_architecture(key));
  if (name == nullptr) return nullptr;
  if (name[0] == '.') return find_rope(name + 1);
  // Qwen's files state the window of a feature that they switch off.
  const json* use_window = member(json_, "use_sliding_window");
  const bool off = use_window != nullptr && *use_window == false;
  if (off && std::string_view(name) == "sliding_window") return nullptr;
  return member(json_, name);
}

// transformers 5 gathers in rope_parameters what earlier versions spread.
const json* PublishedConfig::find_rope(std::string_view name) const {
  const json* rope = member(json_, "rope_parameters");
  if (rope == nullptr) rope = member(json_, "rope_scaling");
  if (rope != nullptr) {
    if (const json* found = member(*rope, name)) return found;
    if (name == "rope_type") return member(*rope, "type");
  }
  return name == "rope_theta" ? member(json_, name) : nullptr;
}

std::string PublishedConfig::given_name(std::string_view key) const {
  if (key == "general.architecture") return "model_type";
  const char* name = config_member_of(without_architecture(key));
  if (name == nullptr) return published_name_of(key);
  return name[0] == '.' ? name + 1 : name;
}

}  // namespace aorta::engine
