#pragma once
// The tokenizer and chat template of a model directory: tokenizer.json (byte-level BPE, in the
// format of Hugging Face's tokenizers), tokenizer_config.json, generation_config.json, config.json.
// Under GGUF's keys, so that one reader serves both.
#include <memory>
#include <string>

#include "base/result.hpp"
#include "engine/model/model_source.hpp"

namespace aorta::engine {

// Ids that end an answer besides eos and eot, which is all that GGUF can name.
inline constexpr char stop_token_ids_key[] = "tokenizer.stop_token_ids";

// Errors: not_found (no tokenizer.json or config.json), corrupt, unsupported (another kind of
// tokenizer, an unknown expression that cuts words, options that are not computed here), each with
// what it is about. A normaliser to NFC is taken and not applied, as with GGUF files.
Result<std::shared_ptr<const ModelMetadata>> open_tokenizer_directory(const std::string& path);

}  // namespace aorta::engine
