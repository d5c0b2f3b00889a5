// A model file from anywhere: it is refused with a sentence, or every view of it lies inside the
// file, and what is read from it next (vocabulary, chat template, plan of the weights) ends the
// same way.
#include <span>

#include "engine/model/gguf_parse.hpp"
#include "engine/model/pack_plan.hpp"
#include "engine/text/chat_template.hpp"
#include "engine/text/tokenizer.hpp"
#include "tests/fuzz/property.hpp"

namespace aorta::engine {
namespace {

using fuzz::require;
using fuzz::says_why;

void check_tensors(const GgufFile& file) {
  const std::byte* const begin = file.bytes().data();
  const std::byte* const end = begin + file.bytes().size();
  for (const GgufTensor& tensor : file.tensors()) {
    require(file.find(tensor.name) == &tensor, "a tensor is found by its name");
    require(begin <= tensor.data.data() && tensor.data.data() + tensor.data.size() <= end,
            "a tensor lies inside the file");
  }
}

void check_metadata(const GgufFile& file) {
  for (const GgufFile::Entry& entry : file.metadata()) {
    const bool integer = file.get_uint(entry.key).has_value();
    const bool text = file.get_string(entry.key).has_value();
    const bool list =
        file.get_strings(entry.key) || file.get_ints(entry.key) || file.get_floats(entry.key);
    require(integer + text + list <= 1, "a value is of one kind");
  }
}

void check_text(const GgufFile& file) {
  const auto tokenizer = Tokenizer::read(file);
  require(says_why(tokenizer), "a tokenizer is refused with a sentence");
  if (tokenizer) {
    for (const TokenId id : (*tokenizer)->encode("Hello, <|im_end|> wörld 12", true, true)) {
      require((*tokenizer)->vocabulary().contains(id), "an id is of the vocabulary");
    }
  }
  if (const auto source = file.get_string("tokenizer.chat_template")) {
    require(says_why(ChatTemplate::parse(*source)), "a template is refused with a sentence");
  }
}

void check(std::span<const std::byte> bytes) {
  const auto file = parse_gguf(bytes, "model.gguf");
  require(says_why(file), "a file is refused with a sentence");
  if (!file) return;
  check_tensors(**file);
  check_metadata(**file);
  check_text(**file);
  require(says_why(plan_pack(**file)), "weights are refused with a sentence");
}

}  // namespace
}  // namespace aorta::engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  aorta::engine::check(std::as_bytes(std::span(data, size)));
  return 0;
}
