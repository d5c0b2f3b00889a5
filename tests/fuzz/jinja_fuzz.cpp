// A chat template from anywhere, over a fixed conversation: text within the limits, the same each
// time, or one error that names a line; and it ends soon.
#include <cstdint>
#include <string_view>

#include "engine/text/jinja/evaluator.hpp"
#include "engine/text/jinja/parser.hpp"
#include "tests/fuzz/property.hpp"

namespace aorta::engine::jinja {
namespace {

using fuzz::require;

constexpr Limits limits{.steps = 20'000, .string_bytes = 1 << 16, .value_depth = 16};

Value message(const char* role, const char* content) {
  return make_dict({{"role", make_string(role)}, {"content", make_string(content)}});
}

Variables conversation() {
  return {{"messages", make_list({message("system", "Be brief."), message("user", "wörld\n ☕"),
                                  message("assistant", "<think>x</think> y")})},
          {"add_generation_prompt", Value(true)},
          {"bos_token", make_string("<s>")},
          {"eos_token", make_string("</s>")},
          {"tools", Value(None{})}};
}

void check(std::string_view source) {
  const auto block = parse(source);
  if (!block) {
    require(block.error().message.find("line") != std::string::npos, "a parse error names a line");
    return;
  }
  const auto text = evaluate(*block, conversation(), limits);
  const auto again = evaluate(*block, conversation(), limits);
  require(text.ok() == again.ok(), "a template ends the same way each time");
  if (!text) {
    require(text.error().message.find("line") != std::string::npos, "an error names a line");
    return;
  }
  require(*text == *again, "a template prints the same text each time");
  require(text->size() <= limits.string_bytes, "text is within the limit");
}

}  // namespace
}  // namespace aorta::engine::jinja

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  aorta::engine::jinja::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
