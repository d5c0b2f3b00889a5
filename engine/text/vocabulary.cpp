#include "engine/text/vocabulary.hpp"

#include <xxhash.h>

#include <algorithm>
#include <bit>

#include "engine/model/gguf_reader.hpp"
#include "engine/text/byte_alphabet.hpp"
#include "engine/text/tokenizer_directory.hpp"

namespace aorta::engine {
namespace {

Error corrupt(const ModelMetadata& file, const std::string& sentence) {
  return {ErrorCode::corrupt, file.path() + ": " + sentence};
}

// Control and user-defined tokens are spelt as they are read; the others in the byte alphabet.
bool is_spelt_in_alphabet(TokenType type) {
  return type == TokenType::normal || type == TokenType::unused || type == TokenType::byte;
}

}  // namespace

Result<Vocabulary> Vocabulary::read(const ModelMetadata& file) {
  const auto model = file.get_string("tokenizer.ggml.model");
  if (!model) return corrupt(file, "it has no tokenizer (tokenizer.ggml.model is missing)");
  if (*model != "gpt2") {
    return Error{ErrorCode::unsupported, file.path() + ": the tokenizer kind \"" +
                                             printable(*model) +
                                             "\" is not supported; byte-level BPE (\"gpt2\") is"};
  }
  Vocabulary vocabulary;
  if (const Result<void> read = vocabulary.read_tokens(file); !read) return read.error();
  const auto bos = vocabulary.read_id(file, "tokenizer.ggml.bos_token_id");
  if (!bos) return bos.error();
  vocabulary.bos_ = *bos;
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    const auto id = vocabulary.read_id(file, key);
    if (!id) return id.error();
    if (!*id) continue;
    auto& stops = vocabulary.stop_ids_;
    if (std::find(stops.begin(), stops.end(), **id) == stops.end()) stops.push_back(**id);
    if (!vocabulary.eos_) vocabulary.eos_ = *id;
  }
  return std::move(vocabulary).add_stops(file);
}

// Those that GGUF has no key for.
Result<Vocabulary> Vocabulary::add_stops(const ModelMetadata& file) && {
  const auto more = file.get_ints(stop_token_ids_key);
  for (const std::int32_t id : more.value_or(std::vector<std::int32_t>())) {
    if (!contains(id)) return corrupt(file, "a stop id is outside the vocabulary");
    if (std::find(stop_ids_.begin(), stop_ids_.end(), id) == stop_ids_.end()) {
      stop_ids_.push_back(id);
    }
    if (!eos_) eos_ = id;
  }
  return std::move(*this);
}

Result<void> Vocabulary::read_tokens(const ModelMetadata& file) {
  const auto tokens = file.get_strings("tokenizer.ggml.tokens");
  if (!tokens || tokens->empty()) return corrupt(file, "tokenizer.ggml.tokens is missing or empty");
  if (tokens->size() > (1u << 24)) {
    return corrupt(file, "tokenizer.ggml.tokens has more than 16777216 entries");
  }
  const auto types = file.get_ints("tokenizer.ggml.token_type");
  if (types && types->size() != tokens->size()) {
    return corrupt(file, "tokenizer.ggml.token_type and tokenizer.ggml.tokens differ in length");
  }
  types_.assign(tokens->size(), TokenType::normal);
  arena_.reserve(tokens->size() * 8);
  starts_.reserve(tokens->size() + 1);
  for (std::size_t id = 0; id < tokens->size(); ++id) {
    const std::string_view spelling = (*tokens)[id];
    const int type = types ? (*types)[id] : static_cast<int>(TokenType::normal);
    if (type < 1 || type > 6) {
      return corrupt(file, "token " + std::to_string(id) + " has the unknown type " +
                               std::to_string(type) + " in tokenizer.ggml.token_type");
    }
    types_[id] = static_cast<TokenType>(type);
    if (is_spelt_in_alphabet(types_[id])) {
      append_bytes_of_spelling(arena_, spelling);
    } else {
      arena_ += spelling;
    }
    longest_token_bytes_ = std::max(longest_token_bytes_, arena_.size() - starts_.back());
    starts_.push_back(arena_.size());
  }
  return {};
}

Result<std::optional<TokenId>> Vocabulary::read_id(const ModelMetadata& file,
                                                   const std::string& key) const {
  const auto id = file.get_uint(key);
  if (!id) return std::optional<TokenId>();
  if (*id >= size()) {
    return corrupt(file, key + " is " + std::to_string(*id) + ", outside the vocabulary of " +
                             std::to_string(size()));
  }
  return std::optional(static_cast<TokenId>(*id));
}

std::string_view Vocabulary::bytes(TokenId id) const {
  if (!contains(id)) return {};
  return std::string_view(arena_).substr(starts_[id], starts_[id + 1] - starts_[id]);
}

bool Vocabulary::is_control(TokenId id) const {
  if (!contains(id)) return false;
  const TokenType type = types_[id];
  return type == TokenType::control || type == TokenType::unknown || type == TokenType::unused;
}

Spellings::Spellings(const std::vector<std::string_view>& tokens)
    : tokens_(tokens), slots_(std::bit_ceil(2 * tokens.size() + 1)) {
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    std::uint32_t tag = 0;
    Slot& slot = slots_[place_of(tokens[id], tag)];
    if (slot.id < 0) slot = {tag, static_cast<TokenId>(id)};
  }
}

// Where the spelling is, or would be.
std::size_t Spellings::place_of(std::string_view spelling, std::uint32_t& tag) const {
  const std::uint64_t hash = XXH3_64bits(spelling.data(), spelling.size());
  tag = static_cast<std::uint32_t>(hash >> 32);
  std::size_t place = hash & (slots_.size() - 1);
  while (slots_[place].id >= 0 &&
         (slots_[place].tag != tag || tokens_[slots_[place].id] != spelling)) {
    place = (place + 1) & (slots_.size() - 1);
  }
  return place;
}

TokenId Spellings::find(std::string_view spelling) const {
  std::uint32_t tag = 0;
  return slots_[place_of(spelling, tag)].id;
}

}  // namespace aorta::engine
