#include "engine/model/model_source.hpp"

#include <filesystem>

#include "engine/model/gguf.hpp"
#include "engine/model/safetensors/model_directory.hpp"

namespace aorta::engine {

Result<std::shared_ptr<const ModelSource>> ModelSource::open(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return open_model_directory(path);
  auto file = GgufFile::open(path);
  if (!file) return file.error();
  return std::shared_ptr<const ModelSource>(std::move(*file));
}

Result<std::vector<std::string>> source_files(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return files_of_model_directory(path);
  return std::vector<std::string>{path};
}

}  // namespace aorta::engine
