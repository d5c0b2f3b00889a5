// Any text, by one of two vocabularies (a small one with GPT-2's words, R1-Distill's; the first
// byte says which): ids of the vocabulary, whose bytes are the text again; and the text stream
// shows those bytes as UTF-8, whatever the ids are.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/text_model.hpp"
#include "mesh/client_codec.hpp"
#include "tests/fuzz/property.hpp"

namespace aorta::engine {
namespace {

using fuzz::require;
using Model = std::shared_ptr<const TextModel>;

Model open(const char* name) {
  auto model = TextModel::open(std::string(AORTA_SOURCE_DIR) + "/tests/golden/" + name);
  require(model.ok(), "the golden vocabulary opens");
  return *model;
}

const std::vector<Model>& models() {
  static const std::vector<Model> all{open("models/gguf/tiny-llama-gqa.Q4_0.gguf"),
                                      open("vocab/r1-distill-qwen-vocab.gguf")};
  return all;
}

std::string bytes_of(const TextModel& model, const std::vector<TokenId>& ids) {
  std::string bytes;
  for (const TokenId id : ids) bytes += model.bytes(id);
  return bytes;
}

void check_encoding(const TextModel& model, std::string_view text) {
  for (const bool parse_special : {false, true}) {
    const auto ids = model.encode(text, parse_special, false);
    for (const TokenId id : ids) {
      require(id >= 0 && static_cast<std::uint32_t>(id) < model.vocabulary(),
              "an id is of the vocabulary");
      require(parse_special || !model.is_control(id), "plain text makes no special id");
    }
    require(bytes_of(model, ids) == text, "the ids' bytes are the text");
  }
}

// Ids from the input's bytes, so that characters are cut anywhere, with a stop string of its first
// bytes.
void check_stream(const Model& model, std::string_view input) {
  const std::string stop(input.substr(0, 2));
  const std::vector<std::string> stops =
      mesh::is_utf8(stop) && !stop.empty() ? std::vector{stop} : std::vector<std::string>{};
  TextStream stream(model, stops);
  std::string shown;
  for (std::size_t i = 0; i + 1 < input.size() && !stream.stopped(); i += 2) {
    const auto number =
        static_cast<std::uint8_t>(input[i]) << 8 | static_cast<std::uint8_t>(input[i + 1]);
    stream.append(static_cast<TokenId>(number % model->vocabulary()));
    require(stream.text().starts_with(shown), "text that was shown is not taken back");
    shown = stream.text();
  }
  stream.finish();
  require(stream.text().starts_with(shown), "text that was shown is not taken back");
  require(mesh::is_utf8(stream.text()), "text is UTF-8");
  for (const std::string& s : stops) {
    require(stream.text().find(s) == std::string::npos, "a stop string is not shown");
  }
}

void check(std::string_view text) {
  if (text.empty()) return;
  const Model& model = models()[static_cast<std::uint8_t>(text.front()) % 2];
  check_encoding(*model, text);
  check_stream(model, text);
}

}  // namespace
}  // namespace aorta::engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  aorta::engine::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
