#include "engine/model/model_source.hpp"

#include <filesystem>

#include "engine/model/gguf.hpp"

namespace aorta::engine {

Result<std::shared_ptr<const ModelSource>> ModelSource::open(const std::string& path) {
  auto file = GgufFile::open(path);
  if (!file) return file.error();
  return std::shared_ptr<const ModelSource>(std::move(*file));
}

Result<std::vector<std::string>> source_files(const std::string& path) {
  return std::vector<std::string>{path};
}

}  // namespace aorta::engine
