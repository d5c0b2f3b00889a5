#pragma once
// Byte-level BPE as a model's files describe it: special tokens, then the pre-tokenizer's pieces,
// then merges.
#include <array>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "engine/model/model_source.hpp"
#include "engine/text/bpe.hpp"
#include "engine/text/joins.hpp"
#include "engine/text/piece_cache.hpp"
#include "engine/text/pretokenize.hpp"
#include "engine/text/special_tokens.hpp"
#include "engine/text/vocabulary.hpp"

namespace aorta::engine {

class Tokenizer {
 public:
  // Each thread that encodes remembers `cached_pieces` of them, a power of two or 0: 32 bytes each.
  // Errors: those of Vocabulary::read and PreTokenizer::of; corrupt (no merges).
  static Result<std::unique_ptr<const Tokenizer>> read(const ModelMetadata& file,
                                                       std::size_t cached_pieces = 1 << 14);

  const Vocabulary& vocabulary() const { return vocabulary_; }
  // See TextModel::encode. Bytes that the vocabulary has no token for vanish. A run without a
  // break, such as a word, is cut every 64 KiB.
  std::vector<TokenId> encode(std::string_view text, bool parse_special, bool add_special) const;

 private:
  // What one thread works with; kept for the next call.
  struct Scratch {
    Scratch(const MergeTable& merges, std::size_t cached_pieces)
        : merger(merges), cache(cached_pieces) {}
    Merger merger;
    PieceCache cache;
    std::vector<TokenId> ids;
  };
  Tokenizer(Vocabulary vocabulary, PreTokenizer pre, MergeTable merges, bool add_bos);
  std::unique_ptr<Scratch> take_scratch() const;
  void encode_plain(std::string_view text, Scratch& scratch, std::vector<TokenId>& out) const;
  // These write at most an id for each byte, and return the end of what was written.
  TokenId* encode_piece(std::string_view piece, const char* end, Scratch& scratch,
                        TokenId* out) const;
  TokenId* encode_part(std::string_view part, PieceCache::Kind kind, const char* end,
                       Scratch& scratch, TokenId* out) const;
  TokenId* merge(std::string_view part, PieceCache::Kind kind, Scratch& scratch,
                 TokenId* out) const;

  const Vocabulary vocabulary_;
  const PreTokenizer pre_;
  const MergeTable merges_;
  Joins joins_;
  bool has_all_bytes_ = true;
  std::size_t cached_pieces_ = 0;
  const bool add_bos_;
  const SpecialTokens user_defined_, all_special_;
  std::array<TokenId, 256> byte_ids_{};                         // -1: no token
  std::unordered_map<std::string_view, TokenId> whole_pieces_;  // if the pre-tokenizer asks
  mutable std::mutex idle_mutex_;
  mutable std::vector<std::unique_ptr<Scratch>> idle_;  // no more than ever encoded at once
};

}  // namespace aorta::engine
