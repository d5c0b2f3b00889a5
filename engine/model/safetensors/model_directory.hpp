#pragma once
// A model as its authors publish it: a directory with config.json and model.safetensors, or
// model.safetensors.index.json and the files that it names.
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "engine/model/model_source.hpp"
#include "engine/model/safetensors/json_text.hpp"

namespace aorta::engine {

// Errors: not_found (config.json, a file that the index names), corrupt, unsupported.
Result<std::shared_ptr<const ModelSource>> open_model_directory(const std::string& path);

// config.json, the index if there is one, and the safetensors files in the order of their names.
// Errors: those of reading the index; corrupt (it names files outside the directory).
Result<std::vector<std::string>> files_of_model_directory(const std::string& path);

// A directory's config.json under GGUF's keys. Also fits directories without any tensors.
class PublishedConfig {
 public:
  // Errors: not_found, io, corrupt.
  static Result<PublishedConfig> read(const std::string& directory);

  // nullptr: absent, or null. `key` as GGUF has it, with its architecture.
  const nlohmann::json* find(std::string_view key) const;
  std::string given_name(std::string_view key) const;
  const nlohmann::json& members() const { return json_; }

 private:
  explicit PublishedConfig(nlohmann::json json) : json_(std::move(json)) {}
  const nlohmann::json* find_rope(std::string_view name) const;
  nlohmann::json json_;
};

}  // namespace aorta::engine
