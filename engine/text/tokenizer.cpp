#include "engine/text/tokenizer.hpp"

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
    const auto left = spellings.find(merge.substr(0, space));
    const auto right = spellings.find(merge.substr(space + 1));
    const auto result = spellings.find(joined);
    if (left == spellings.end() || right == spellings.end() || result == spellings.end()) continue;
    table.insert(left->second, right->second, {static_cast<std::uint32_t>(rank), result->second});
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

Result<std::unique_ptr<const Tokenizer>> Tokenizer::read(const ModelMetadata& file) {
  auto vocabulary = Vocabulary::read(file);
  if (!vocabulary) return vocabulary.error();
  const auto pre = PreTokenizer::of(file.get_string("tokenizer.ggml.pre").value_or("default"));
  if (!pre) return Error{pre.error().code, file.path() + ": " + pre.error().message};
  const auto merges = file.get_strings("tokenizer.ggml.merges");
  if (!merges) {
    return Error{ErrorCode::corrupt, file.path() + ": tokenizer.ggml.merges is missing"};
  }
  const auto tokens = file.get_strings("tokenizer.ggml.tokens");
  const Spellings spellings = spellings_of(*tokens);
  const bool add_bos = file.get_bool("tokenizer.ggml.add_bos_token").value_or(pre->adds_bos());
  std::unique_ptr<Tokenizer> tokenizer(
      new Tokenizer(std::move(*vocabulary), *pre, read_merges(*merges, spellings), add_bos));
  for (int byte = 0; byte < 256; ++byte) {
    const auto found = spellings.find(spell_byte(static_cast<std::uint8_t>(byte)));
    tokenizer->byte_ids_[byte] = found == spellings.end() ? -1 : found->second;
  }
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
  Merger merger(merges_);
  std::vector<TokenId> ids;
  std::size_t at = 0;
  for (;;) {
    const SpecialTokens::Match match = specials.find(text, at);
    if (match.start == std::string_view::npos) break;
    encode_plain(text.substr(at, match.start - at), merger, ids);
    ids.push_back(match.id);
    at = match.start + match.length;
  }
  encode_plain(text.substr(at), merger, ids);
  // A chat template may have written the BOS itself; two of them would be another prompt.
  const auto bos = vocabulary_.bos();
  if (add_special && add_bos_ && bos && (ids.empty() || ids[0] != *bos)) {
    ids.insert(ids.begin(), *bos);
  }
  return ids;
}

void Tokenizer::encode_plain(std::string_view text, Merger& merger,
                             std::vector<TokenId>& out) const {
  std::vector<TokenId> ids;
  while (!text.empty()) {
    std::string_view piece = text.substr(0, pre_.next(text));
    text.remove_prefix(piece.size());
    while (!piece.empty()) {
      const std::string_view part = piece.substr(0, part_length(piece));
      piece.remove_prefix(part.size());
      encode_part(part, merger, ids);
      out.insert(out.end(), ids.begin(), ids.end());
    }
  }
}

void Tokenizer::encode_part(std::string_view part, Merger& merger,
                            std::vector<TokenId>& ids) const {
  ids.clear();
  if (const auto whole = whole_pieces_.find(part); whole != whole_pieces_.end()) {
    ids.push_back(whole->second);
    return;
  }
  for (const unsigned char byte : part) {
    if (byte_ids_[byte] >= 0) ids.push_back(byte_ids_[byte]);
  }
  merger.merge(ids);
}

}  // namespace aorta::engine
