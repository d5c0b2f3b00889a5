#include "engine/model/architectures/architecture.hpp"

#include "engine/model/gguf_reader.hpp"

namespace aorta::engine {
namespace {

const Architecture* const architectures[] = {&architecture_llama, &architecture_qwen2,
                                             &architecture_qwen3};

}  // namespace

Result<const Architecture*> find_architecture(const ModelSource& source) {
  const auto name = source.get_string("general.architecture");
  if (!name) {
    return Error{ErrorCode::corrupt, source.path() + ": the metadata names no " +
                                         source.given_name("general.architecture") +
                                         "; is it a model?"};
  }
  std::string known;
  for (const Architecture* architecture : architectures) {
    if (*name == architecture->name) return architecture;
    if (!known.empty()) known += ", ";
    known += architecture->name;
  }
  return Error{ErrorCode::unsupported,
               source.path() + ": architecture '" + printable(*name) + "' is not one of: " + known};
}

std::string architecture_key(const ModelSource& source, std::string_view key) {
  return std::string(source.get_string("general.architecture").value_or("")) + "." +
         std::string(key);
}

Result<void> refuse_count(const ModelSource& source, std::string_view key,
                          std::string_view feature) {
  const std::string whole = architecture_key(source, key);
  if (source.get_uint(whole).value_or(0) == 0) return {};
  return Error{ErrorCode::unsupported, source.path() + ": " + std::string(feature) + " (" +
                                           source.given_name(whole) + ") is not supported"};
}

}  // namespace aorta::engine
