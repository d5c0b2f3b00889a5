#include "engine/text/tokenizer_directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "engine/model/gguf_reader.hpp"
#include "engine/model/mapped_file.hpp"
#include "engine/model/safetensors/model_directory.hpp"
#include "engine/text/tokenizer_rules.hpp"
#include "engine/text/vocabulary.hpp"

namespace aorta::engine {
namespace {

using nlohmann::json;

constexpr std::size_t largest_tokenizer_bytes = 128 << 20;
constexpr std::size_t largest_config_bytes = 16 << 20;
constexpr std::size_t most_unused = 1 << 16;  // ids without a token, up to the model's vocabulary

// A file that not every model has: an empty object then.
Result<json> read_optional(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return json::object();
  return read_json_object(path, largest_config_bytes);
}

class TokenizerDirectory final : public ModelMetadata {
 public:
  TokenizerDirectory(std::string path, PublishedConfig config)
      : path_(std::move(path)), config_(std::move(config)) {}

  Result<void> read();

  const std::string& path() const override { return path_; }
  std::optional<std::uint64_t> get_uint(std::string_view key) const override {
    if (const auto found = ids_.find(key); found != ids_.end()) return found->second;
    const json* value = config_.find(key);
    if (value == nullptr || !value->is_number_unsigned()) return std::nullopt;
    return value->get<std::uint64_t>();
  }
  std::optional<double> get_float(std::string_view) const override { return std::nullopt; }
  std::optional<bool> get_bool(std::string_view key) const override {
    if (key == "tokenizer.ggml.add_bos_token") return add_bos_;
    return std::nullopt;
  }
  std::optional<std::string_view> get_string(std::string_view key) const override {
    if (const auto found = texts_.find(key); found != texts_.end()) return found->second;
    const json* value = config_.find(key);
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return value->get_ref<const std::string&>();
  }
  std::optional<std::vector<std::string_view>> get_strings(std::string_view key) const override {
    if (key == "tokenizer.ggml.tokens") return views(tokens_);
    if (key == "tokenizer.ggml.merges") return views(merges_);
    return std::nullopt;
  }
  std::optional<std::vector<std::int32_t>> get_ints(std::string_view key) const override {
    if (key == "tokenizer.ggml.token_type") return types_;
    if (key == stop_token_ids_key) return stops_;
    return std::nullopt;
  }
  std::optional<std::vector<float>> get_floats(std::string_view) const override {
    return std::nullopt;
  }
  std::string given_name(std::string_view key) const override { return config_.given_name(key); }

 private:
  static std::vector<std::string_view> views(const std::vector<std::string>& strings) {
    return {strings.begin(), strings.end()};
  }
  Error corrupt(const std::string& file, const std::string& sentence) const {
    return Error{ErrorCode::corrupt, path_ + "/" + file + ": " + sentence};
  }

  Result<void> read_tokens(const json& tokenizer);
  Result<void> add_token(const std::string& spelling, const json* id, TokenType type);
  Result<void> read_merges(const json& model);
  Result<void> read_specials(const json& settings, const json& tokenizer);
  Result<void> read_stops();
  Result<void> add_stops(const std::string& file, const json& object);
  Result<void> read_template(const json& settings);
  std::optional<std::uint64_t> id_of(const json* token) const;

  const std::string path_;
  const PublishedConfig config_;
  std::vector<std::string> tokens_, merges_;
  std::vector<std::int32_t> types_;  // TokenType, of each token
  std::size_t most_tokens_ = 0;
  std::map<std::string, std::string, std::less<>> texts_;
  std::map<std::string, std::uint64_t, std::less<>> ids_;
  bool add_bos_ = false;
  std::vector<std::int32_t> stops_;
};

Result<void> TokenizerDirectory::read() {
  const std::string file = path_ + "/tokenizer.json";
  const auto tokenizer = read_json_object(file, largest_tokenizer_bytes);
  if (!tokenizer) return tokenizer.error();
  const auto pre = pre_tokenizer_of(*tokenizer);
  if (!pre) return Error{pre.error().code, file + ": " + pre.error().message};
  texts_["tokenizer.ggml.model"] = "gpt2";
  texts_["tokenizer.ggml.pre"] = *pre;
  if (auto done = read_tokens(*tokenizer); !done) return done;
  if (auto done = read_merges(*member(*tokenizer, "model")); !done) return done;
  const auto settings = read_optional(path_ + "/tokenizer_config.json");
  if (!settings) return settings.error();
  if (auto done = read_specials(*settings, *tokenizer); !done) return done;
  if (auto done = read_stops(); !done) return done;
  return read_template(*settings);
}

Result<void> TokenizerDirectory::read_tokens(const json& tokenizer) {
  const json* vocabulary = member(*member(tokenizer, "model"), "vocab");
  if (vocabulary == nullptr || !vocabulary->is_object() || vocabulary->empty()) {
    return corrupt("tokenizer.json", "its model has no vocab");
  }
  static const json none = json::array();
  const json* added = member(tokenizer, "added_tokens");
  if (added == nullptr || !added->is_array()) added = &none;
  most_tokens_ = vocabulary->size() + added->size() + most_unused;
  for (const auto& [spelling, id] : vocabulary->items()) {
    if (auto done = add_token(spelling, &id, TokenType::normal); !done) return done;
  }
  for (const json& token : *added) {
    const json* content = member(token, "content");
    if (content == nullptr || !content->is_string()) {
      return corrupt("tokenizer.json", "an added token has no content");
    }
    const auto& text = content->get_ref<const std::string&>();
    for (const char* flag : {"single_word", "lstrip", "rstrip"}) {
      const json* set = member(token, flag);
      if (set != nullptr && *set == true) {
        return Error{ErrorCode::unsupported,
                     fmt::format("{}/tokenizer.json: the added token \"{}\" is {}, which is not "
                                 "supported",
                                 path_, printable(text), flag)};
      }
    }
    const json* special = member(token, "special");
    const bool control = special != nullptr && *special == true;
    auto done = add_token(text, member(token, "id"),
                          control ? TokenType::control : TokenType::user_defined);
    if (!done) return done;
  }
  // Models have rows for more ids than there are tokens.
  const json* rows = member(config_.members(), "vocab_size");
  if (rows == nullptr || !rows->is_number_unsigned()) return {};
  if (rows->get<std::uint64_t>() > most_tokens_) {
    return corrupt("config.json", fmt::format("vocab_size is {}, tokenizer.json has {} tokens",
                                              rows->get<std::uint64_t>(), tokens_.size()));
  }
  tokens_.resize(std::max<std::size_t>(tokens_.size(), rows->get<std::uint64_t>()));
  types_.resize(tokens_.size(), static_cast<std::int32_t>(TokenType::unused));
  return {};
}

Result<void> TokenizerDirectory::add_token(const std::string& spelling, const json* id,
                                           TokenType type) {
  if (id == nullptr || !id->is_number_unsigned() || id->get<std::uint64_t>() >= most_tokens_) {
    return corrupt("tokenizer.json", fmt::format("token \"{}\" has no id below {}",
                                                 printable(spelling), most_tokens_));
  }
  const auto index = id->get<std::size_t>();
  if (index >= tokens_.size()) {
    tokens_.resize(index + 1);
    types_.resize(index + 1, static_cast<std::int32_t>(TokenType::unused));
  }
  const bool free = types_[index] == static_cast<std::int32_t>(TokenType::unused);
  if (!free && tokens_[index] != spelling) {
    return corrupt("tokenizer.json",
                   fmt::format("\"{}\" and \"{}\" have the same id {}", printable(tokens_[index]),
                               printable(spelling), index));
  }
  tokens_[index] = spelling;
  types_[index] = static_cast<std::int32_t>(type);
  return {};
}

// "left right", or since tokenizers 0.20 ["left", "right"].
Result<void> TokenizerDirectory::read_merges(const json& model) {
  const json* merges = member(model, "merges");
  if (merges == nullptr || !merges->is_array()) {
    return corrupt("tokenizer.json", "its model has no merges");
  }
  merges_.reserve(merges->size());
  for (const json& merge : *merges) {
    if (merge.is_string()) {
      merges_.push_back(merge.get<std::string>());
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      merges_.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    } else {
      return corrupt("tokenizer.json",
                     fmt::format("merge {} is not a pair of tokens", merges_.size()));
    }
  }
  return {};
}

// A token is its text, or an object with it.
std::optional<std::uint64_t> TokenizerDirectory::id_of(const json* token) const {
  if (token != nullptr && token->is_object()) token = member(*token, "content");
  if (token == nullptr || !token->is_string()) return std::nullopt;
  const auto found =
      std::find(tokens_.begin(), tokens_.end(), token->get_ref<const std::string&>());
  if (found == tokens_.end()) return std::nullopt;
  return static_cast<std::uint64_t>(found - tokens_.begin());
}

Result<void> TokenizerDirectory::read_specials(const json& settings, const json& tokenizer) {
  const json* bos = member(settings, "bos_token");
  if (const auto id = id_of(bos)) {
    ids_["tokenizer.ggml.bos_token_id"] = *id;
    const json* add = member(settings, "add_bos_token");
    add_bos_ = add != nullptr && add->is_boolean() ? add->get<bool>()
                                                   : begins_with(tokenizer, tokens_[*id]);
  }
  if (const auto id = id_of(member(settings, "eos_token"))) {
    ids_["tokenizer.ggml.eos_token_id"] = *id;
  }
  return {};
}

Result<void> TokenizerDirectory::read_stops() {
  const auto generation = read_optional(path_ + "/generation_config.json");
  if (!generation) return generation.error();
  if (member(*generation, "eos_token_id") != nullptr) {
    return add_stops("generation_config.json", *generation);
  }
  return add_stops("config.json", config_.members());
}

// eos_token_id: an id or a list of them.
Result<void> TokenizerDirectory::add_stops(const std::string& file, const json& object) {
  const json* ids = member(object, "eos_token_id");
  if (ids == nullptr) return {};
  for (const json& id : ids->is_array() ? *ids : json::array({*ids})) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= tokens_.size()) {
      return corrupt(file, "eos_token_id " + printable(id.dump(-1, ' ', true)) +
                               " is no id of the vocabulary");
    }
    stops_.push_back(id.get<std::int32_t>());
  }
  return {};
}

// A file of its own, a string, or a list of named ones.
Result<void> TokenizerDirectory::read_template(const json& settings) {
  const std::string path = path_ + "/chat_template.jinja";
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) {
    const auto file = MappedFile::open(path);
    if (!file) return file.error();
    const auto bytes = (*file)->bytes();
    if (bytes.size() > largest_config_bytes)
      return corrupt("chat_template.jinja", "it is too long");
    texts_["tokenizer.chat_template"].assign(reinterpret_cast<const char*>(bytes.data()),
                                             bytes.size());
    return {};
  }
  const json* source = member(settings, "chat_template");
  if (source != nullptr && source->is_array()) {
    const json* chosen = nullptr;
    for (const json& named : *source) {
      const json* name = member(named, "name");
      if (name != nullptr && *name == "default") chosen = member(named, "template");
    }
    source = chosen;
  }
  if (source != nullptr && source->is_string()) {
    texts_["tokenizer.chat_template"] = source->get<std::string>();
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const ModelMetadata>> open_tokenizer_directory(const std::string& path) {
  auto config = PublishedConfig::read(path);
  if (!config) return config.error();
  const auto directory = std::make_shared<TokenizerDirectory>(path, std::move(*config));
  if (auto read = directory->read(); !read) return read.error();
  return std::shared_ptr<const ModelMetadata>(directory);
}

}  // namespace aorta::engine
