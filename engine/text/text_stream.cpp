// TextStream: bytes of ids -> whole UTF-8 characters -> thinking, and text before the first stop
// string. The first stop string is the one that ends first, so the text never depends on where
// tokens end.
#include "engine/text/text_model.hpp"
#include "engine/text/unicode.hpp"

namespace aorta::engine {

TextStream::TextStream(std::shared_ptr<const TextModel> model,
                       std::vector<std::string> stop_strings, Reasoning reasoning)
    : model_(std::move(model)), splitter_(reasoning), stops_(stop_strings) {}

bool TextStream::append(TokenId id) {
  if (stopped_) return true;
  if (!splitter_.in_text()) ++ids_before_text_;
  if (has_text(id)) {
    push_bytes(model_->bytes(id));
    release(false);
  }
  return stopped_;
}

// Some files call the tags of thinking control tokens; they are told from text all the same.
bool TextStream::has_text(TokenId id) const {
  if (!model_->is_control(id)) return true;
  const std::string_view bytes = model_->bytes(id);
  return !splitter_.in_text() && (bytes == think_tag || bytes == end_think_tag);
}

void TextStream::finish() {
  // What is left of an unfinished character is one broken one: at most its longest beginning.
  if (!stopped_ && !partial_.empty()) push_text(splitter_.feed(replacement_character));
  partial_.clear();
  if (!stopped_) push_text(splitter_.finish());
  release(true);
}

// Cuts what has come so far into whole characters; the beginning of one waits for its rest.
void TextStream::push_bytes(std::string_view bytes) {
  partial_ += bytes;
  std::string_view rest = partial_;
  while (!rest.empty() && !stopped_) {
    const Utf8Char c = decode_utf8(rest);
    if (c.status == Utf8Status::incomplete) break;
    const bool valid = c.status == Utf8Status::valid;
    push_text(splitter_.feed(valid ? rest.substr(0, c.length) : replacement_character));
    rest.remove_prefix(c.length);
  }
  partial_.erase(0, partial_.size() - rest.size());
}

void TextStream::push_text(std::string_view text) {
  for (const char byte : text) {
    held_ += byte;
    if (const std::size_t stop_bytes = stops_.feed(byte)) {
      held_.resize(held_.size() - stop_bytes);
      stopped_ = true;
      return;
    }
  }
}

void TextStream::release(bool all) {
  const std::size_t kept = all || stopped_ ? 0 : stops_.held_bytes();
  text_.append(held_, 0, held_.size() - kept);
  held_.erase(0, held_.size() - kept);
}

}  // namespace aorta::engine
