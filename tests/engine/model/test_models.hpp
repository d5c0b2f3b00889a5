#pragma once
// Where the tests' models are, and how they are opened.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/model/decoder.hpp"
#include "engine/model/pack.hpp"

namespace aorta::engine {

inline std::string golden_path(const std::string& name) {
  return std::string(AORTA_SOURCE_DIR) + "/tests/golden/" + name;
}

// Of the tiny models, NAME.TYPE is a GGUF file and NAME a directory with safetensors.
inline bool is_gguf(const std::string& model) { return model.find('.') != std::string::npos; }

inline std::string tiny_model_path(const std::string& model) {
  return golden_path(is_gguf(model) ? "models/gguf/" + model + ".gguf" : "models/" + model);
}

// A directory of its own, removed with all in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "aorta-test-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Of the SmolLM2 demo model; it may not be there.
inline std::string demo_model_path() {
  if (const char* named = std::getenv("AORTA_DEMO_MODEL")) return named;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string base = cache != nullptr  ? cache
                           : home != nullptr ? std::string(home) + "/.cache"
                                             : "/nonexistent";
  return base + "/aorta/models/SmolLM2-135M-Instruct.Q4_1.gguf";
}

inline std::shared_ptr<const Pack> pack_and_open(const std::string& model,
                                                 const std::string& directory) {
  auto path = pack_model(model, directory);
  EXPECT_TRUE(path.ok()) << path.error().message;
  auto pack = open_pack(*path);
  EXPECT_TRUE(pack.ok()) << pack.error().message;
  return *pack;
}

inline std::unique_ptr<Decoder> open_model(std::shared_ptr<const Pack> pack, const std::string& isa,
                                           std::uint32_t threads, std::uint32_t max_rows,
                                           std::uint32_t blocks) {
  auto backend = make_cpu_backend(isa, threads, max_rows);
  EXPECT_TRUE(backend.ok()) << backend.error().message;
  auto model = Decoder::open(std::move(pack), std::move(*backend), blocks);
  EXPECT_TRUE(model.ok()) << model.error().message;
  return std::move(*model);
}

}  // namespace aorta::engine
