#pragma once
// Byte-level BPE as a model's files describe it: special tokens, then the pre-tokenizer's pieces,
// then merges.
#include <array>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "engine/model/model_source.hpp"
#include "engine/text/bpe.hpp"
#include "engine/text/pretokenize.hpp"
#include "engine/text/special_tokens.hpp"
#include "engine/text/vocabulary.hpp"

namespace aorta::engine {

class Tokenizer {
 public:
  // Errors: those of Vocabulary::read and PreTokenizer::of; corrupt (no merges).
  static Result<std::unique_ptr<const Tokenizer>> read(const ModelMetadata& file);

  const Vocabulary& vocabulary() const { return vocabulary_; }
  // See TextModel::encode. Bytes that the vocabulary has no token for vanish. A run without a
  // break, such as a word, is cut every 64 KiB.
  std::vector<TokenId> encode(std::string_view text, bool parse_special, bool add_special) const;

 private:
  Tokenizer(Vocabulary vocabulary, PreTokenizer pre, MergeTable merges, bool add_bos);
  void encode_plain(std::string_view text, Merger& merger, std::vector<TokenId>& out) const;
  void encode_part(std::string_view part, Merger& merger, std::vector<TokenId>& ids) const;

  const Vocabulary vocabulary_;
  const PreTokenizer pre_;
  const MergeTable merges_;
  const bool add_bos_;
  const SpecialTokens user_defined_, all_special_;
  std::array<TokenId, 256> byte_ids_{};                         // -1: no token
  std::unordered_map<std::string_view, TokenId> whole_pieces_;  // if the pre-tokenizer asks
};

}  // namespace aorta::engine
