#include "engine/fake/fake_text_model.hpp"

#include <array>

namespace aorta::engine {
namespace {

constexpr std::uint32_t byte_values = 256;

class FakeTextModel final : public TextModel {
 public:
  explicit FakeTextModel(const FakeOptions& options)
      : context_tokens_(options.context_tokens),
        stop_ids_{options.stop_id},
        thinks_(options.thinking_tokens > 0) {
    for (std::size_t i = 0; i < byte_values; ++i) bytes_[i] = static_cast<char>(i);
  }

  std::uint32_t vocabulary() const override { return byte_values; }
  std::uint32_t context_tokens() const override { return context_tokens_; }

  // No special ids can be written and none is added.
  std::vector<TokenId> encode(std::string_view text, bool, bool) const override {
    std::vector<TokenId> ids;
    ids.reserve(text.size());
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }

  std::string_view bytes(TokenId id) const override {
    if (id < 0 || static_cast<std::uint32_t>(id) >= byte_values) return {};
    return {&bytes_[static_cast<std::size_t>(id)], 1};
  }

  bool is_control(TokenId id) const override { return id == stop_ids_.front(); }
  const std::vector<TokenId>& stop_ids() const override { return stop_ids_; }
  bool thinks() const override { return thinks_; }
  std::size_t longest_token_bytes() const override { return 1; }

  Result<std::string> render(const std::vector<ChatMessage>& messages,
                             bool add_generation_prompt) const override {
    std::string text;
    for (const ChatMessage& message : messages) {
      text += message.role + ": " + message.content + "\n";
    }
    if (add_generation_prompt) text += "assistant: ";
    if (add_generation_prompt && thinks_) text += std::string(think_tag) + "\n";
    return text;
  }

 private:
  std::uint32_t context_tokens_;
  std::vector<TokenId> stop_ids_;
  bool thinks_;
  std::array<char, byte_values> bytes_{};
};

}  // namespace

std::shared_ptr<const TextModel> make_fake_text_model(const FakeOptions& options) {
  return std::make_shared<FakeTextModel>(options);
}

}  // namespace aorta::engine
