#include "engine/text/tokenizer.hpp"

#include <algorithm>
#include <string>

#include "engine/text/byte_alphabet.hpp"

namespace aorta::engine {
namespace {

// A merge is "left right" in the file's alphabet, where a space within a token is spelt Ġ. Merges
// of tokens that the vocabulary lacks can never happen.
MergeTable read_merges(const std::vector<std::string_view>& merges, const Spellings& spellings) {
  MergeTable table(merges.size());
  std::string joined;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view merge = merges[rank];
    const std::size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos) continue;
    joined.assign(merge.substr(0, space)).append(merge.substr(space + 1));
    const TokenId left = spellings.find(merge.substr(0, space));
    const TokenId right = spellings.find(merge.substr(space + 1));
    const TokenId result = spellings.find(joined);
    if (left < 0 || right < 0 || result < 0) continue;
    table.insert(left, right, {static_cast<std::uint32_t>(rank), result});
  }
  return table;
}

// What of a piece is merged at once. No language has words as long as this; merging megabytes
// together would miss every cache and keep a service from its other work for seconds.
constexpr std::size_t longest_part = 64 << 10;

std::size_t part_length(std::string_view piece) {
  if (piece.size() <= longest_part) return piece.size();
  const auto inside_character = [&](std::size_t at) { return (piece[at] & 0xC0) == 0x80; };
  std::size_t length = longest_part;
  while (length > longest_part - 3 && inside_character(length)) --length;
  return length;
}

}  // namespace

Result<std::unique_ptr<const Tokenizer>> Tokenizer::read(const ModelMetadata& file,
                                                         std::size_t cached_pieces) {
  auto vocabulary = Vocabulary::read(file);
  if (!vocabulary) return vocabulary.error();
  const auto pre = PreTokenizer::of(file.get_string("tokenizer.ggml.pre").value_or("default"));
  if (!pre) return Error{pre.error().code, file.path() + ": " + pre.error().message};
  const auto merges = file.get_strings("tokenizer.ggml.merges");
  if (!merges) {
    return Error{ErrorCode::corrupt, file.path() + ": tokenizer.ggml.merges is missing"};
  }
  const auto tokens = file.get_strings("tokenizer.ggml.tokens");
  const Spellings spellings(*tokens);
  const bool add_bos = file.get_bool("tokenizer.ggml.add_bos_token").value_or(pre->adds_bos());
  std::unique_ptr<Tokenizer> tokenizer(
      new Tokenizer(std::move(*vocabulary), *pre, read_merges(*merges, spellings), add_bos));
  for (int byte = 0; byte < 256; ++byte) {
    const TokenId id = spellings.find(spell_byte(static_cast<std::uint8_t>(byte)));
    tokenizer->byte_ids_[byte] = id;
    tokenizer->has_all_bytes_ = tokenizer->has_all_bytes_ && id >= 0;
  }
  for (std::size_t id = 0; id < tokens->size(); ++id) {
    tokenizer->joins_.add(tokenizer->vocabulary_.bytes(static_cast<TokenId>(id)));
  }
  tokenizer->cached_pieces_ = cached_pieces;
  return std::unique_ptr<const Tokenizer>(std::move(tokenizer));
}

Tokenizer::Tokenizer(Vocabulary vocabulary, PreTokenizer pre, MergeTable merges, bool add_bos)
    : vocabulary_(std::move(vocabulary)),
      pre_(pre),
      merges_(std::move(merges)),
      add_bos_(add_bos),
      user_defined_(vocabulary_, false),
      all_special_(vocabulary_, true) {
  if (!pre_.whole_piece_first()) return;
  for (std::size_t i = 0; i < vocabulary_.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (vocabulary_.type(id) == TokenType::normal) whole_pieces_.emplace(vocabulary_.bytes(id), id);
  }
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, bool parse_special,
                                       bool add_special) const {
  const SpecialTokens& specials = parse_special ? all_special_ : user_defined_;
  std::unique_ptr<Scratch> scratch = take_scratch();
  std::vector<TokenId> ids;
  std::size_t at = 0;
  for (;;) {
    const SpecialTokens::Match match = specials.find(text, at);
    if (match.start == std::string_view::npos) break;
    encode_plain(text.substr(at, match.start - at), *scratch, ids);
    ids.push_back(match.id);
    at = match.start + match.length;
  }
  encode_plain(text.substr(at), *scratch, ids);
  {
    const std::lock_guard lock(idle_mutex_);
    idle_.push_back(std::move(scratch));
  }
  // A chat template may have written the BOS itself; two of them would be another prompt.
  const auto bos = vocabulary_.bos();
  if (add_special && add_bos_ && bos && (ids.empty() || ids[0] != *bos)) {
    ids.insert(ids.begin(), *bos);
  }
  return ids;
}

std::unique_ptr<Tokenizer::Scratch> Tokenizer::take_scratch() const {
  {
    const std::lock_guard lock(idle_mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Scratch> scratch = std::move(idle_.back());
      idle_.pop_back();
      return scratch;
    }
  }
  return std::make_unique<Scratch>(merges_, cached_pieces_);
}

void Tokenizer::encode_plain(std::string_view text, Scratch& scratch,
                             std::vector<TokenId>& out) const {
  const char* const end = text.data() + text.size();
  const std::size_t before = out.size();
  out.resize(before + text.size() + PieceCache::most_ids);  // the cache writes them all
  TokenId* written = out.data() + before;
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, pre_.next(text));
    text.remove_prefix(piece.size());
    written = encode_piece(piece, end, scratch, written);
  }
  out.resize(written - out.data());
}

TokenId* Tokenizer::encode_piece(std::string_view piece, const char* end, Scratch& scratch,
                                 TokenId* out) const {
  using Kind = PieceCache::Kind;
  const bool ascii_end = !piece.empty() && static_cast<signed char>(piece.back()) >= 0;
  if (piece.size() <= PieceCache::longest_piece && (ascii_end || !whole_pieces_.empty())) {
    return encode_part(piece, Kind::whole, end, scratch, out);
  }
  if (const auto whole = whole_pieces_.find(piece); whole != whole_pieces_.end()) {
    *out = whole->second;
    return out + 1;
  }
  while (!piece.empty()) {
    // Bytes without a token vanish, and what they stood between would meet: such text is not cut.
    std::string_view part = piece.substr(0, part_length(piece));
    if (has_all_bytes_) part = part.substr(0, joins_.part(part));
    piece.remove_prefix(part.size());
    out = encode_part(part, Kind::part, end, scratch, out);
  }
  return out;
}

TokenId* Tokenizer::encode_part(std::string_view part, PieceCache::Kind kind, const char* end,
                                Scratch& scratch, TokenId* out) const {
  if (part.size() > PieceCache::longest_piece) return merge(part, kind, scratch, out);
  const PieceCache::Key key = PieceCache::key_of(part, kind, end);
  if (const std::size_t count = scratch.cache.find(key, out)) return out + count;
  TokenId* const written = merge(part, kind, scratch, out);
  scratch.cache.insert(key, out, static_cast<std::size_t>(written - out));
  return written;
}

TokenId* Tokenizer::merge(std::string_view part, PieceCache::Kind kind, Scratch& scratch,
                          TokenId* out) const {
  if (kind == PieceCache::Kind::whole && !whole_pieces_.empty()) {
    if (const auto whole = whole_pieces_.find(part); whole != whole_pieces_.end()) {
      *out = whole->second;
      return out + 1;
    }
  }
  std::vector<TokenId>& ids = scratch.ids;
  ids.clear();
  for (const unsigned char byte : part) {
    if (byte_ids_[byte] >= 0) ids.push_back(byte_ids_[byte]);
  }
  scratch.merger.merge(ids);
  return std::copy(ids.begin(), ids.end(), out);
}

}  // namespace aorta::engine
