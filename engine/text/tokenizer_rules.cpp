#include "engine/text/tokenizer_rules.hpp"

#include <vector>

#include "engine/model/gguf_reader.hpp"
#include "engine/model/safetensors/json_text.hpp"

namespace aorta::engine {
namespace {

using nlohmann::json;

constexpr std::string_view qwen2_words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view llama3_words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Error unsupported(const std::string& what) {
  return Error{ErrorCode::unsupported, what + " is not supported"};
}

std::string text_of(const json* value) {
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

bool flag(const json& object, const char* name, bool otherwise) {
  const json* value = member(object, name);
  return value != nullptr && value->is_boolean() ? value->get<bool>() : otherwise;
}

// The steps of a component: those of a Sequence, or itself.
std::vector<const json*> steps_of(const json* component, const char* name) {
  if (component == nullptr) return {};
  if (text_of(member(*component, "type")) != "Sequence") return {component};
  std::vector<const json*> steps;
  const json* list = member(*component, name);
  if (list == nullptr || !list->is_array()) return steps;
  for (const json& step : *list) steps.push_back(&step);
  return steps;
}

Result<void> check_model(const json& tokenizer) {
  const json* model = member(tokenizer, "model");
  if (model == nullptr || !model->is_object()) {
    return Error{ErrorCode::corrupt, "it has no model; is it a tokenizer?"};
  }
  const std::string type = text_of(member(*model, "type"));
  // Old files do not say; merges make it BPE.
  if (!type.empty() && type != "BPE") {
    return unsupported("the tokenizer kind \"" + printable(type) + "\"");
  }
  if (flag(*model, "byte_fallback", false))
    return unsupported("byte_fallback (not byte-level BPE)");
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!text_of(member(*model, affix)).empty()) return unsupported(affix);
  }
  return {};
}

Result<void> check_normalizer(const json& tokenizer) {
  for (const json* step : steps_of(member(tokenizer, "normalizer"), "normalizers")) {
    const std::string type = text_of(member(*step, "type"));
    if (type != "NFC") return unsupported("the normalizer \"" + printable(type) + "\"");
  }
  return {};
}

// The name of the expression that a Split step cuts with; empty when it is another.
std::string name_of_split(const json& step) {
  const json* pattern = member(step, "pattern");
  const std::string regex = pattern != nullptr ? text_of(member(*pattern, "Regex")) : "";
  const bool isolated = text_of(member(step, "behavior")) == "Isolated";
  if (!isolated || flag(step, "invert", false)) return {};
  if (regex == qwen2_words) return "qwen2";
  if (regex == llama3_words) return "llama-bpe";
  return {};
}

}  // namespace

Result<std::string> pre_tokenizer_of(const json& tokenizer) {
  if (auto known = check_model(tokenizer); !known) return known.error();
  if (auto known = check_normalizer(tokenizer); !known) return known.error();
  const auto steps = steps_of(member(tokenizer, "pre_tokenizer"), "pretokenizers");
  std::string name;
  bool byte_level = false;
  for (const json* step : steps) {
    const std::string type = text_of(member(*step, "type"));
    if (type == "ByteLevel" && !byte_level && !flag(*step, "add_prefix_space", true)) {
      byte_level = true;
      const bool cuts = flag(*step, "use_regex", true);
      if (cuts && name.empty()) name = "gpt-2";
      if (cuts == (name == "qwen2" || name == "llama-bpe")) name.clear();
    } else if (type == "Digits" && name.empty() && flag(*step, "individual_digits", false)) {
      name = "smollm";
    } else if (type == "Split" && name.empty() && !byte_level) {
      name = name_of_split(*step);
      if (name.empty())
        return unsupported("the pre_tokenizer " + printable(step->dump(-1, ' ', true), 400));
    } else {
      return unsupported("the pre_tokenizer's step \"" + printable(type) + "\" there");
    }
  }
  if (!byte_level || name.empty()) return unsupported("a pre_tokenizer that is not byte-level");
  if (flag(*member(tokenizer, "model"), "ignore_merges", false) && name != "llama-bpe") {
    return unsupported("ignore_merges with this pre_tokenizer");
  }
  return name;
}

bool begins_with(const json& tokenizer, std::string_view token) {
  for (const json* step : steps_of(member(tokenizer, "post_processor"), "processors")) {
    if (text_of(member(*step, "type")) != "TemplateProcessing") continue;
    const json* single = member(*step, "single");
    if (single == nullptr || !single->is_array() || single->empty()) continue;
    const json* special = member((*single)[0], "SpecialToken");
    if (special != nullptr && text_of(member(*special, "id")) == token) return true;
  }
  return false;
}

}  // namespace aorta::engine
