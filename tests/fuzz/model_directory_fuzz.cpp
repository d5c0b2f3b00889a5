// A model directory from anywhere. The input is its JSON files, each ended by a byte that no UTF-8
// has: config.json, tokenizer.json, tokenizer_config.json, generation_config.json and the index of
// the safetensors, which are those of a small qwen3. Plan and text model are refused with a
// sentence, or the text model encodes.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "engine/model/pack_plan.hpp"
#include "engine/text/text_model.hpp"
#include "tests/engine/model/safetensors_builder.hpp"
#include "tests/fuzz/property.hpp"

namespace aorta::engine {
namespace {

using fuzz::require;
using fuzz::says_why;

constexpr char end_of_file = '\xFF';
constexpr const char* names[] = {"config.json", "tokenizer.json", "tokenizer_config.json",
                                 "generation_config.json", "model.safetensors.index.json"};

class Directory {
 public:
  Directory() : path_("/dev/shm/aorta-fuzz." + std::to_string(::getpid())) {
    DirectorySpec().write(path_);
    std::filesystem::copy_file(path_ + "/model.safetensors", path_ + "/model-1.safetensors");
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

  void put(std::string_view files) const {
    for (const char* name : names) {
      const std::string path = path_ + "/" + name;
      const std::size_t end = std::min(files.find(end_of_file), files.size());
      std::filesystem::remove(path);
      if (end > 0) DirectorySpec::put(path, std::string(files.substr(0, end)));
      files.remove_prefix(std::min(end + 1, files.size()));
    }
  }

 private:
  const std::string path_;
};

void check(std::string_view files) {
  static const Directory directory;
  directory.put(files);
  const auto source = ModelSource::open(directory.path());
  require(says_why(source), "a directory is refused with a sentence");
  if (source) {
    require(says_why(plan_pack(**source)), "weights are refused with a sentence");
    for (const ModelSource::Entry& entry : (*source)->metadata()) {
      require(!entry.type.empty(), "an entry has a type");
    }
  }
  const auto text = TextModel::open(directory.path());
  require(says_why(text), "a tokenizer is refused with a sentence");
  if (!text) return;
  for (const TokenId id : (*text)->encode("Hello, <|end|> w\xC3\xB6rld 12 ab", true, true)) {
    require(id >= 0 && static_cast<std::uint32_t>(id) < (*text)->vocabulary(),
            "an id is of the vocabulary");
  }
}

}  // namespace
}  // namespace aorta::engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  aorta::engine::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
