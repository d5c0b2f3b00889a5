#pragma once
// Cuts text into the pieces that BPE merges within. Each tokenizer.ggml.pre names a regular
// expression; these are hand-written scanners of the same language, linear in the text.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.hpp"

namespace aorta::engine {

class PreTokenizer {
 public:
  // `name` is tokenizer.ggml.pre: smollm, gpt-2, default, qwen2, deepseek-r1-qwen, llama-bpe ...
  // Errors: unsupported (any other, named).
  static Result<PreTokenizer> of(std::string_view name);

  // The length of the piece at the beginning of `text`, which is not empty.
  std::size_t next(std::string_view text) const {
    return words_ == Words::gpt2 ? next_gpt2(text) : next_cl100k(text);
  }
  // A piece that is a token as it stands is that token, whatever its merges (Llama 3).
  bool whole_piece_first() const { return whole_piece_first_; }
  // What tokenizer.ggml.add_bos_token is when the file does not say.
  bool adds_bos() const { return adds_bos_; }

 private:
  enum class Words : std::uint8_t {
    // 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
    gpt2,
    // (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,D}
    //   | ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
    cl100k,
  };
  PreTokenizer() = default;
  std::size_t next_gpt2(std::string_view text) const;
  std::size_t next_cl100k(std::string_view text) const;

  Words words_ = Words::gpt2;
  // gpt2: numbers are cut out one by one before the expression runs, so its (?!\S) takes a number
  // for the end of the text.
  bool numbers_apart_ = false;
  std::uint32_t digits_ = 1;  // cl100k: D
  bool whole_piece_first_ = false;
  bool adds_bos_ = false;
};

}  // namespace aorta::engine
