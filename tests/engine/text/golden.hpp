#pragma once
// Golden files and the models they were made with.
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/text/text_model.hpp"

namespace aorta::engine {

inline std::string golden_path(const std::string& name) {
  return std::string(AORTA_SOURCE_DIR) + "/tests/golden/" + name;
}

inline nlohmann::json read_golden(const std::string& name) {
  std::ifstream in(golden_path(name));
  return nlohmann::json::parse(in);
}

inline std::string demo_model_path() {
  if (const char* path = std::getenv("AORTA_DEMO_MODEL")) return path;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string root = cache && *cache ? cache : std::string(home ? home : "") + "/.cache";
  return root + "/aorta/models/SmolLM2-135M-Instruct.Q4_1.gguf";
}

// Null when the file is absent; the demo model is not part of the repository.
inline std::shared_ptr<const TextModel> open_if_present(const std::string& path) {
  if (!std::ifstream(path)) return nullptr;
  auto model = TextModel::open(path);
  return model ? *model : nullptr;
}

inline std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

inline std::vector<ChatMessage> messages_of(const nlohmann::json& messages) {
  std::vector<ChatMessage> out;
  for (const auto& message : messages) {
    out.push_back(
        {message.at("role").get<std::string>(), message.at("content").get<std::string>()});
  }
  return out;
}

}  // namespace aorta::engine
