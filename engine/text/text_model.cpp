#include "engine/text/text_model.hpp"

#include <filesystem>
#include <limits>
#include <optional>

#include "engine/model/gguf.hpp"
#include "engine/text/chat_template.hpp"
#include "engine/text/tokenizer.hpp"
#include "engine/text/tokenizer_directory.hpp"

namespace aorta::engine {
namespace {

class LoadedTextModel final : public TextModel {
 public:
  LoadedTextModel(std::unique_ptr<const Tokenizer> tokenizer, std::uint32_t context_tokens,
                  std::optional<ChatTemplate> chat_template, bool thinks)
      : tokenizer_(std::move(tokenizer)),
        vocabulary_(tokenizer_->vocabulary()),
        context_tokens_(context_tokens),
        chat_template_(std::move(chat_template)),
        thinks_(thinks) {}

  std::uint32_t vocabulary() const override {
    return static_cast<std::uint32_t>(vocabulary_.size());
  }
  std::uint32_t context_tokens() const override { return context_tokens_; }
  std::vector<TokenId> encode(std::string_view text, bool parse_special,
                              bool add_special) const override {
    return tokenizer_->encode(text, parse_special, add_special);
  }
  std::string_view bytes(TokenId id) const override { return vocabulary_.bytes(id); }
  bool is_control(TokenId id) const override { return vocabulary_.is_control(id); }
  const std::vector<TokenId>& stop_ids() const override { return vocabulary_.stop_ids(); }
  bool thinks() const override { return thinks_; }
  std::size_t longest_token_bytes() const override { return vocabulary_.longest_token_bytes(); }
  Result<std::string> render(const std::vector<ChatMessage>& messages,
                             bool add_generation_prompt) const override {
    if (!chat_template_) {
      return Error{ErrorCode::unsupported,
                   "this model has no chat template; send a plain prompt instead"};
    }
    return chat_template_->render(
        {messages, add_generation_prompt, text_of(vocabulary_.bos()), text_of(vocabulary_.eos())});
  }

 private:
  std::string_view text_of(std::optional<TokenId> id) const {
    return id ? vocabulary_.bytes(*id) : std::string_view();
  }

  const std::unique_ptr<const Tokenizer> tokenizer_;
  const Vocabulary& vocabulary_;
  const std::uint32_t context_tokens_;
  const std::optional<ChatTemplate> chat_template_;
  const bool thinks_;
};

Result<std::uint32_t> read_context(const ModelMetadata& file) {
  const auto architecture = file.get_string("general.architecture");
  const std::string key = std::string(architecture.value_or("?")) + ".context_length";
  const auto context = file.get_uint(key);
  if (!context || *context == 0 || *context > std::numeric_limits<std::uint32_t>::max()) {
    return Error{ErrorCode::corrupt,
                 file.path() + ": " + file.given_name(key) + " is missing or out of range"};
  }
  return static_cast<std::uint32_t>(*context);
}

Result<std::shared_ptr<const ModelMetadata>> open_metadata(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return open_tokenizer_directory(path);
  auto file = GgufFile::open(path);
  if (!file) return file.error();
  return std::shared_ptr<const ModelMetadata>(std::move(*file));
}

}  // namespace

Result<std::shared_ptr<const TextModel>> TextModel::open(const std::string& model_path) {
  const auto file = open_metadata(model_path);
  if (!file) return file.error();
  auto tokenizer = Tokenizer::read(**file);
  if (!tokenizer) return tokenizer.error();
  const auto context = read_context(**file);
  if (!context) return context.error();
  std::optional<ChatTemplate> chat_template;
  bool thinks = (*tokenizer)->encode(end_think_tag, true, false).size() == 1;
  if (const auto source = (*file)->get_string("tokenizer.chat_template")) {
    auto parsed = ChatTemplate::parse(*source);
    if (!parsed) return Error{parsed.error().code, model_path + ": " + parsed.error().message};
    chat_template = std::move(*parsed);
    thinks = thinks || source->find(end_think_tag) != std::string::npos;
  }
  return std::shared_ptr<const TextModel>(std::make_shared<LoadedTextModel>(
      std::move(*tokenizer), *context, std::move(chat_template), thinks));
}

}  // namespace aorta::engine
