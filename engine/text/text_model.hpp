#pragma once
// What admission needs of a model: text to ids, a conversation to text, ids to bytes. Read from a
// GGUF's metadata; the weights are never touched.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "engine/text/reasoning.hpp"
#include "engine/text/stop_matcher.hpp"

namespace aorta::engine {

struct ChatMessage {
  std::string role;  // system | developer | user | assistant | tool
  std::string content;
};

class TextModel {
 public:
  // From a GGUF file or a model directory. Errors: those of GgufFile::open and
  // open_tokenizer_directory; unsupported (tokenizer kind or a template construct, named).
  static Result<std::shared_ptr<const TextModel>> open(const std::string& model_path);
  virtual ~TextModel() = default;

  virtual std::uint32_t vocabulary() const = 0;
  virtual std::uint32_t context_tokens() const = 0;
  // Text to ids. parse_special: text such as <|im_end|> becomes its special id. add_bos follows
  // the model's own add_bos_token when `add_special`, and never makes a second BOS:
  // a rendered chat often begins with its own.
  virtual std::vector<TokenId> encode(std::string_view text, bool parse_special,
                                      bool add_special) const = 0;
  // The exact bytes of one id (special ids: their text); may stop inside a UTF-8 character.
  virtual std::string_view bytes(TokenId id) const = 0;
  virtual bool is_control(TokenId id) const = 0;             // special ids, left out of answers
  virtual const std::vector<TokenId>& stop_ids() const = 0;  // end of answer: eos, eot
  // It may think before it answers: its vocabulary or its chat template knows </think>. Its chats
  // are streamed with reasoning_after(rendered prompt), everything else with Reasoning::never.
  virtual bool thinks() const = 0;
  // No prompt of more bytes than context_tokens × this can fit the context.
  virtual std::size_t longest_token_bytes() const = 0;
  // The file's own chat template. Errors: invalid_argument (raise_exception of the template, a role
  // it refuses), unsupported (the file has none, or a construct of it), resource_exhausted (the
  // template runs on and on).
  virtual Result<std::string> render(const std::vector<ChatMessage>& messages,
                                     bool add_generation_prompt) const = 0;
};

// Bytes of a growing answer to what may be shown of it: its thinking, then its text. Withholds a
// partial UTF-8 character (a broken one becomes U+FFFD), any tail that could still become a tag of
// the thinking, and any tail of the text that could still become a stop string; in the thinking no
// stop string counts. Fed only by ledger appends, so an executor's death cannot touch it; equal ids
// give equal text, however cut.
class TextStream {
 public:
  TextStream(std::shared_ptr<const TextModel> model, std::vector<std::string> stop_strings,
             Reasoning reasoning = Reasoning::never);
  // Feeds the next id. True when a stop string is complete: the text ends before it.
  bool append(TokenId id);
  void finish();  // no more ids: releases what was withheld
  // All that may be shown so far; both only grow.
  const std::string& reasoning() const { return splitter_.reasoning(); }
  const std::string& text() const { return text_; }
  bool stopped() const { return stopped_; }
  // Ids so far that belong to the thinking, its tags included.
  std::uint32_t reasoning_tokens() const { return splitter_.began() ? ids_before_text_ : 0; }

 private:
  bool has_text(TokenId id) const;
  void push_bytes(std::string_view bytes);
  void push_text(std::string_view text);
  void release(bool all);
  std::shared_ptr<const TextModel> model_;
  ReasoningSplitter splitter_;
  StopMatcher stops_;
  std::string partial_;  // bytes of an unfinished UTF-8 character
  std::string held_;     // text that may begin a stop string
  std::string text_;
  std::uint32_t ids_before_text_ = 0;
  bool stopped_ = false;
};

}  // namespace aorta::engine
