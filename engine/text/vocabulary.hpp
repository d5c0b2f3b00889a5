#pragma once
// A model's tokens, under GGUF's keys: their bytes and kinds.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "engine/model/model_source.hpp"

namespace aorta::engine {

// tokenizer.ggml.token_type.
enum class TokenType : std::uint8_t {
  normal = 1,
  unknown = 2,
  control = 3,       // such as <|im_end|>: never part of an answer's text
  user_defined = 4,  // matched as a whole in text, and shown
  unused = 5,
  byte = 6,
};

class Vocabulary {
 public:
  // Errors: unsupported (a tokenizer.ggml.model other than gpt2), corrupt (missing or ill-sized
  // arrays, a special id outside the vocabulary).
  static Result<Vocabulary> read(const ModelMetadata& file);

  std::size_t size() const { return types_.size(); }
  bool contains(TokenId id) const { return id >= 0 && static_cast<std::size_t>(id) < size(); }
  // Empty outside the vocabulary.
  std::string_view bytes(TokenId id) const;
  TokenType type(TokenId id) const { return types_[id]; }
  bool is_control(TokenId id) const;
  std::size_t longest_token_bytes() const { return longest_token_bytes_; }

  std::optional<TokenId> bos() const { return bos_; }
  std::optional<TokenId> eos() const { return eos_; }
  const std::vector<TokenId>& stop_ids() const { return stop_ids_; }

 private:
  Result<Vocabulary> add_stops(const ModelMetadata& file) &&;
  Result<void> read_tokens(const ModelMetadata& file);
  Result<std::optional<TokenId>> read_id(const ModelMetadata& file, const std::string& key) const;

  std::string arena_;                   // all tokens' bytes, one after another
  std::vector<std::size_t> starts_{0};  // token id lies at [starts_[id], starts_[id + 1])
  std::vector<TokenType> types_;
  std::size_t longest_token_bytes_ = 1;
  std::optional<TokenId> bos_, eos_;
  std::vector<TokenId> stop_ids_;
};

// Token ids by their spelling in the file's own alphabet; the smaller id of two equal ones. Views
// into `tokens`, which must outlive this.
class Spellings {
 public:
  explicit Spellings(const std::vector<std::string_view>& tokens);
  TokenId find(std::string_view spelling) const;  // -1: none

 private:
  struct Slot {
    std::uint32_t tag = 0;  // more of the hash: few strings are compared
    TokenId id = -1;
  };
  std::size_t place_of(std::string_view spelling, std::uint32_t& tag) const;
  const std::vector<std::string_view>& tokens_;
  std::vector<Slot> slots_;  // open-addressed, at most half full
};

}  // namespace aorta::engine
