#include "engine/text/pretokenize.hpp"

#include <array>
#include <string>

#include "engine/model/gguf_reader.hpp"
#include "engine/text/unicode.hpp"

namespace aorta::engine {
namespace {

// What lies at a place in the text; `end` beyond its last character.
enum class Kind : std::uint8_t { letter, number, space, newline, other, end };

struct Glyph {
  Kind kind = Kind::end;
  std::uint32_t length = 0;
};

Glyph wide_glyph_at(std::string_view text, std::size_t at) {
  const Utf8Char c = decode_utf8(text.substr(at, 4));
  if (c.status != Utf8Status::valid) return {Kind::other, 1};
  return {static_cast<Kind>(char_class(c.codepoint)), c.length};
}

constexpr std::array<Kind, 128> ascii_kinds() {
  std::array<Kind, 128> kinds;
  kinds.fill(Kind::other);
  for (int c = 'a'; c <= 'z'; ++c) kinds[c] = kinds[c - 'a' + 'A'] = Kind::letter;
  for (int c = '0'; c <= '9'; ++c) kinds[c] = Kind::number;
  for (const char c : {' ', '\t', '\v', '\f'}) kinds[c] = Kind::space;
  kinds['\r'] = kinds['\n'] = Kind::newline;
  return kinds;
}
constexpr std::array<Kind, 128> ascii = ascii_kinds();

inline Glyph glyph_at(std::string_view text, std::size_t at) {
  if (at >= text.size()) return {};
  const auto first = static_cast<unsigned char>(text[at]);
  return first < ascii.size() ? Glyph{ascii[first], 1} : wide_glyph_at(text, at);
}
static_assert(static_cast<int>(Kind::letter) == static_cast<int>(CharClass::letter) &&
              static_cast<int>(Kind::other) == static_cast<int>(CharClass::other));

bool is_space(Kind kind) { return kind == Kind::space || kind == Kind::newline; }

// The end of the longest run of one kind that begins at `at`.
std::size_t run_end(std::string_view text, std::size_t at, Kind kind) {
  for (;;) {
    const Glyph glyph = glyph_at(text, at);
    if (glyph.kind != kind) return at;
    at += glyph.length;
  }
}

// The length of 's 't 're 've 'm 'll 'd at the beginning of `text`; 0 if there is none.
std::size_t contraction(std::string_view text, bool any_case) {
  if (text.size() < 2 || text[0] != '\'') return 0;
  const auto letter = [&](std::size_t i) {
    const char c = i < text.size() ? text[i] : '\0';
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  switch (letter(1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return letter(2) == 'e' ? 3 : 0;
    case 'l':
      return letter(2) == 'l' ? 3 : 0;
    default:
      return 0;
  }
}

// A run of white space and what the last alternatives of both expressions make of it.
struct SpaceRun {
  std::size_t end = 0;           // of the whole run
  std::size_t last = 0;          // where its last character begins
  std::size_t newlines_end = 0;  // after its last line break; 0 without one
  Kind next = Kind::end;         // what follows it
};

SpaceRun space_run(std::string_view text) {
  SpaceRun run;
  for (;;) {
    const Glyph glyph = glyph_at(text, run.end);
    run.next = glyph.kind;
    if (!is_space(glyph.kind)) return run;
    run.last = run.end;
    run.end += glyph.length;
    if (glyph.kind == Kind::newline) run.newlines_end = run.end;
  }
}

// \s+(?!\S)|\s+ : all of it at the end of the text; else all but the last character, which belongs
// to what follows, unless it is the only one.
std::size_t trailing_space(const SpaceRun& run, bool at_end) {
  return at_end || run.last == 0 ? run.end : run.last;
}

}  // namespace

Result<PreTokenizer> PreTokenizer::of(std::string_view name) {
  PreTokenizer pre;
  if (name == "gpt-2" || name == "gpt2" || name == "default") return pre;
  if (name == "smollm") {
    pre.numbers_apart_ = true;
    return pre;
  }
  pre.words_ = Words::cl100k;
  if (name == "qwen2" || name == "deepseek-r1-qwen") return pre;
  if (name == "llama-bpe" || name == "llama3" || name == "llama-v3") {
    pre.digits_ = 3;
    pre.whole_piece_first_ = true;
    pre.adds_bos_ = true;
    return pre;
  }
  return Error{ErrorCode::unsupported,
               "the pre-tokenizer \"" + printable(name) +
                   "\" (tokenizer.ggml.pre) is not known; known are smollm, gpt-2, qwen2, "
                   "deepseek-r1-qwen and llama-bpe"};
}

std::size_t PreTokenizer::next_gpt2(std::string_view text) const {
  const Glyph first = glyph_at(text, 0);
  if (numbers_apart_ && first.kind == Kind::number) return first.length;
  if (const std::size_t length = contraction(text, false)) return length;
  // " ?" before a run of letters, numbers or others.
  const std::size_t start = text[0] == ' ' ? 1 : 0;
  const Kind kind = glyph_at(text, start).kind;
  const bool cut = numbers_apart_ && kind == Kind::number;
  if (!is_space(kind) && kind != Kind::end && !cut) return run_end(text, start, kind);
  const SpaceRun run = space_run(text);
  return trailing_space(run, run.next == Kind::end || (numbers_apart_ && run.next == Kind::number));
}

std::size_t PreTokenizer::next_cl100k(std::string_view text) const {
  if (const std::size_t length = contraction(text, true)) return length;
  const Glyph first = glyph_at(text, 0);
  if (first.kind == Kind::letter) return run_end(text, 0, Kind::letter);
  const Glyph second = glyph_at(text, first.length);
  const bool may_lead_letters = first.kind == Kind::space || first.kind == Kind::other;
  if (may_lead_letters && second.kind == Kind::letter) {
    return run_end(text, first.length, Kind::letter);
  }
  if (first.kind == Kind::number) {
    std::size_t end = first.length;
    for (std::uint32_t i = 1; i < digits_; ++i) {
      const Glyph glyph = glyph_at(text, end);
      if (glyph.kind != Kind::number) break;
      end += glyph.length;
    }
    return end;
  }
  if (first.kind == Kind::other || (text[0] == ' ' && second.kind == Kind::other)) {
    const std::size_t start = first.kind == Kind::other ? 0 : first.length;
    return run_end(text, run_end(text, start, Kind::other), Kind::newline);
  }
  const SpaceRun run = space_run(text);
  if (run.newlines_end > 0) return run.newlines_end;
  return trailing_space(run, run.next == Kind::end);
}

}  // namespace aorta::engine
